"""From what is heard of try-ons to the rows of the view's tables."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from orchestrator.gateway.models import image_path_of, miniature_of
from orchestrator.gateway.view.heard import Begun, Heard
from orchestrator.gateway.view.showing import NEWS, NO_NEWS
from orchestrator.gateway.view.tables import PROGRESS, STATUS
from orchestrator.models import TryOnFailure
from shared_utils.contracts import Progress

Key = tuple[str, int]
"""A try-on's id, and the partition that it lives on."""
Event = tuple[str, int, int, int, int, bytes]
"""Id, partition, kind, offset, time, and what it says."""

MOST_TALKING = 10_000
"""Try-ons whose latest progress is remembered: more than are ever under way at once."""
MOST_BYTES = 64 * 1024
"""Of one piece of progress. Above, it is kept without its preview."""


class Row(NamedTuple):
    """Of the table tryons."""

    id: str
    partition: int
    offset: int
    state: str
    submitted: int
    request_id: str
    said: bytes
    began: int = 0
    image_path: str | None = None
    miniature: bool | None = None
    news: bytes = NO_NEWS


@dataclass
class Rows:
    """What a batch changes."""

    states: dict[Key, Row] = field(default_factory=dict)
    refusals: dict[str, Row] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    talked: set[Key] = field(default_factory=set)
    """Those of which there is progress."""
    forgotten: set[Key] = field(default_factory=set)


class Fold:
    """Remembers of each try-on under way its state and what its stages have said last: the two come separately, and
    what is made of them must not depend on which came first."""

    def __init__(self) -> None:
        self._running: dict[Key, Row] = {}
        self._said: OrderedDict[Key, dict[str, Progress]] = OrderedDict()

    def take(self, batch: Iterable[Heard]) -> Rows:
        rows = Rows()
        for each in batch:
            key = (each.name, each.partition)
            if isinstance(each.news, Begun):
                self._take_state(rows, key, each, each.news)
            elif isinstance(each.news, Progress):
                self._take_progress(rows, key, each, each.news)
            elif isinstance(each.news, TryOnFailure):
                rows.refusals[each.name] = _refused(each, each.news)
            elif each.news is None:
                self._forget(rows, key)
        for key in (rows.states.keys() | rows.talked) & self._running.keys() & self._said.keys():
            news = NEWS.dump_json(list(self._said[key].values()))
            rows.states[key] = self._running[key]._replace(news=news)
        return rows

    def forget(self, keys: Iterable[Key]) -> None:
        """Kafka does not have their states any more."""
        for key in keys:
            self._running.pop(key, None)

    def _take_state(self, rows: Rows, key: Key, each: Heard, tryon: Begun) -> None:
        row = rows.states[key] = _begun(each, tryon)
        rows.events.append((*key, STATUS, each.offset, each.at, each.said))
        if tryon.ended:
            self._running.pop(key, None)
            self._said.pop(key, None)
        else:
            self._running[key] = row

    def _take_progress(self, rows: Rows, key: Key, each: Heard, news: Progress) -> None:
        spare = news.model_copy(update={"preview": None})
        data = news.model_dump_json().encode()
        if len(data) > MOST_BYTES:
            data = spare.model_dump_json().encode()
        rows.events.append((*key, PROGRESS, each.offset, each.at, data))
        rows.talked.add(key)
        self._said.setdefault(key, {})[news.request_id] = spare
        self._said.move_to_end(key)
        if len(self._said) > MOST_TALKING:
            self._said.popitem(last=False)

    def _forget(self, rows: Rows, key: Key) -> None:
        rows.forgotten.add(key)
        rows.states.pop(key, None)
        rows.events = [row for row in rows.events if row[:2] != key]
        self._running.pop(key, None)
        self._said.pop(key, None)


def _begun(each: Heard, tryon: Begun) -> Row:
    return Row(
        id=each.name,
        partition=each.partition,
        offset=each.offset,
        state=tryon.state,
        submitted=milliseconds(tryon.request.timestamp),
        request_id=tryon.request.request_id,
        said=each.said,
        began=milliseconds(tryon.submitted),
        image_path=image_path_of(tryon),
        miniature=miniature_of(tryon),
    )


def _refused(each: Heard, answer: TryOnFailure) -> Row:
    place = (each.name, each.partition, each.offset)
    return Row(*place, "refused", milliseconds(answer.timestamp), answer.request_id, each.said)


def milliseconds(moment: datetime) -> int:
    """Since 1970."""
    return round(moment.timestamp() * 1000)
