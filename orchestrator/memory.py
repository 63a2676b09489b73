"""What an orchestrator remembers of the try-ons on its partitions. Kafka has all of it: it can be thrown away."""

from collections import OrderedDict
from dataclasses import dataclass, field

from orchestrator.state import TryOn

MOST = 1_000
"""How many ended try-ons of a partition are remembered by name, to know a request that comes twice."""


@dataclass
class Shelf:
    """The try-ons of one partition number."""

    running: dict[str, TryOn] = field(default_factory=dict)
    ended: OrderedDict[str, None] = field(default_factory=OrderedDict)
    cancelled_early: OrderedDict[str, int] = field(default_factory=OrderedDict)
    """Cancellations of try-ons that have not come yet, and where each lies on its topic. Until the try-on comes, the
    cancellation counts as unread: so it is found again after a crash."""

    cancels_read: int = 0
    """Where the next cancellation lies."""

    def put(self, tryon: TryOn) -> None:
        if tryon.ended:
            self.running.pop(tryon.correlation_id, None)
            self.end(tryon.correlation_id)
        else:
            self.running[tryon.correlation_id] = tryon

    def end(self, correlation_id: str) -> None:
        self.ended[correlation_id] = None
        if len(self.ended) > MOST:
            self.ended.popitem(last=False)

    def cancel_early(self, correlation_id: str, offset: int) -> None:
        self.cancelled_early.setdefault(correlation_id, offset)
        if len(self.cancelled_early) > MOST:
            self.cancelled_early.popitem(last=False)
