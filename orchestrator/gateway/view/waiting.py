"""Try-ons that were asked for and that no orchestrator has taken up yet, in the order in which they came."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from orchestrator.gateway.models import StepView, TryOnView
from orchestrator.steps import STEPS
from shared_utils.contracts import PROMPT, Message, Seed, Timestamp

Place = tuple[int, int, int]
"""When a request came to Kafka, its partition and its offset: in this order they are taken up, or nearly so."""


_STEPS = [StepView(name=step, state="waiting") for step in STEPS]


class Asked(Message):
    """What is shown of a request. All else in it is the orchestrator's to check, which takes some time."""

    request_id: str | None = None
    timestamp: Timestamp | None = None
    prompt: str = PROMPT
    seed: Seed | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that nobody has looked at yet: it may yet turn out to be unusable."""

    name: str
    request_id: str
    place: Place
    submitted: datetime
    prompt: str = ""
    seed: int | None = None

    @classmethod
    def of(cls, name: str, fields: Mapping[str, Any], partition: int, offset: int, at: int) -> "Waiting":
        """`at`: milliseconds since 1970."""
        place, came = (at, partition, offset), datetime.fromtimestamp(at / 1000, UTC)
        try:
            asked = Asked.model_validate({field: value for field, value in fields.items() if value is not None})
            submitted = (asked.timestamp or came).astimezone(UTC)
        except (ValidationError, OverflowError):  # the orchestrator will refuse it
            return cls(name, str(fields.get("request_id") or name), place, came)
        return cls(name, asked.request_id or name, place, submitted, asked.prompt, asked.seed)

    @property
    def partition(self) -> int:
        return self.place[1]

    @property
    def offset(self) -> int:
        return self.place[2]

    def view(self, position: int) -> TryOnView:
        return TryOnView(
            id=self.name,
            request_id=self.request_id,
            state="waiting",
            position=position,
            submitted=self.submitted,
            updated=self.submitted,
            prompt=self.prompt,
            seed=self.seed,
            seed_text=None if self.seed is None else str(self.seed),
            steps=_STEPS,
        )


class Queue:
    """All that wait. In memory, since each that is taken up changes the position of all others."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._places: list[Place] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._waiting.values())

    def get(self, name: str) -> Waiting | None:
        return self._waiting.get(name)

    def position(self, waiting: Waiting) -> int:
        """1 for the next."""
        return bisect_left(self._places, waiting.place) + 1

    def add(self, waiting: Waiting) -> None:
        """Of two requests of one name the first counts; of two words on the same request, the later."""
        known = self._waiting.get(waiting.name)
        if known is not None:
            same = (known.partition, known.offset) == (waiting.partition, waiting.offset)
            if not same and known.place < waiting.place:
                return
            self.remove(waiting.name)
        self._waiting[waiting.name] = waiting
        insort(self._places, waiting.place)

    def remove(self, name: str) -> None:
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            del self._places[bisect_left(self._places, waiting.place)]

    def before(self, partition: int, offset: int) -> list[Waiting]:
        """Those whose requests lie before this offset."""
        return [each for each in self if each.partition == partition and each.offset < offset]
