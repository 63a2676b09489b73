"""All try-ons that Kafka knows, for quick reading.

It can be thrown away at any time: read again from Kafka it gives the same answers, in whatever order the topics are
read. One thread writes, all that it has heard at once in one transaction; others read meanwhile.
"""

import heapq
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.gateway.models import ENDED, Cursor, Event, Known, TryOnView
from orchestrator.gateway.view.folding import Fold, milliseconds
from orchestrator.gateway.view.heard import Heard
from orchestrator.gateway.view.merging import merged
from orchestrator.gateway.view.showing import shown
from orchestrator.gateway.view.tables import (
    FORGET,
    FORGET_BEFORE,
    FORGET_EVENTS,
    FORGET_EVENTS_BEFORE,
    PROGRESS,
    PUT_EVENT,
    PUT_REFUSAL,
    PUT_STATE,
    STATUS,
    TRIM_EVENTS,
    made,
)
from orchestrator.gateway.view.waiting import Queue, Waiting
from shared_utils.contracts import now
from shared_utils.errors import InvalidRequestError
from shared_utils.transports.kafka.messages import CORRELATION_ID
from shared_utils.transports.kafka.topics import TRYON_PROGRESS, TRYON_RESPONSES, TRYON_STATUS

MOST_EVENTS = 1000
"""Pieces of progress that are kept of a try-on, the newest: a sampler may have 10,000 steps."""
KINDS = {TRYON_STATUS: STATUS, TRYON_PROGRESS: PROGRESS}
Place = tuple[int, str]
"""Of a try-on in the list: when it was asked for, in milliseconds since 1970, and its id."""
_CURSOR = re.compile(r"(-?\d{1,15})\.(.{1,128})", re.DOTALL | re.ASCII)


class View:
    def __init__(self, path: Path | None = None) -> None:
        """Begins empty. Without a path nothing of it is left behind, however the process ends."""
        self._fold = Fold()
        self._queue = Queue()
        self._taken: dict[int, int] = {}
        self._lock = threading.Lock()
        """Held while reading, and while what was written becomes visible: the tables and the queue go together."""
        if path is None:
            with tempfile.TemporaryDirectory(prefix="vtryon-view-") as folder:
                # Both connections keep their files open; the names are not needed any more.
                self._writer, self._reader = made(Path(folder) / "view.sqlite")
        else:
            self._writer, self._reader = made(path)

    def close(self) -> None:
        with self._lock:
            self._reader.close()
            self._writer.close()

    # ---- reading

    def get(self, name: str) -> TryOnView | None:
        found = self._found(name)
        return TryOnView.model_validate_json(found) if isinstance(found, bytes) else found

    def body(self, name: str) -> bytes | None:
        """The same as JSON."""
        found = self._found(name)
        return found.model_dump_json().encode() if isinstance(found, TryOnView) else found

    def tryon(self, name: str) -> Known | None:
        with self._lock:
            row = self._row("state, partition, request_id, image_path", name)
            waiting = self._queue.get(name) if row is None or row[0] == "refused" else None
        if waiting is not None:
            return Known("waiting", waiting.partition, waiting.request_id)
        return None if row is None else Known(*row)

    def events(self, name: str, after: Cursor, most: int) -> list[Event]:
        """What has happened after the cursor, at most so much; the last event of one that has ended comes last."""
        with self._lock, self._snapshot():
            row = self._row("state, partition, offset, said", name)
            if row is None:
                return []
            state, partition, offset, said = row
            if state == "refused":
                # It has no record on tryon-status: any cursor at all says that this was heard.
                untold = after.status < 0 and self._queue.get(name) is None
                return [Event("status", shown(name, state, said), Cursor(0, -1), last=True)] if untold else []
            statuses, progress = (
                self._reader.execute(
                    "SELECT offset, at, data FROM events WHERE id = ? AND partition = ? AND kind = ? AND offset > ? "
                    "ORDER BY offset LIMIT ?",
                    (name, partition, kind, heard, most),
                ).fetchall()
                for kind, heard in ((STATUS, after.status), (PROGRESS, after.progress))
            )
        events = merged(statuses, progress, after, most, end=offset if state in ENDED else None)
        return [replace(each, data=shown(name, state, each.data)) if each.kind == "status" else each for each in events]

    def told(self, name: str, after: Cursor) -> bool:
        """Whether it has ended, and whoever has this cursor has heard of that: nothing follows."""
        with self._lock:
            row = self._row("state, offset", name)
            if row is None or row[0] not in ENDED or (row[0] == "refused" and self._queue.get(name) is not None):
                return False
        return after.status >= (0 if row[0] == "refused" else row[1])

    def place(self, name: str) -> bytes | None:
        """What one that waits is shown as, with its place in the queue; None if it does not wait."""
        with self._lock:
            waiting = self._queue.get(name)
            return None if waiting is None else self._shown(waiting).model_dump_json().encode()

    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    def counts(self) -> dict[str, int]:
        """How many try-ons there are of each state."""
        with self._lock:
            found = dict(self._reader.execute("SELECT state, count(*) FROM tryons GROUP BY state").fetchall())
        return found | {"waiting": self.waiting()}

    def miniature(self) -> bool | None:
        """Whether miniature models are in use: what the newest try-on says that says anything."""
        with self._lock:
            row = self._reader.execute(
                "SELECT miniature FROM tryons WHERE miniature IS NOT NULL ORDER BY submitted DESC, id DESC LIMIT 1"
            ).fetchone()
        return None if row is None else bool(row[0])

    def _found(self, name: str) -> bytes | TryOnView | None:
        """What there is of it: JSON that lies ready, or its place in the queue."""
        with self._lock:
            row = self._row("id, state, said, news", name)
            waiting = self._queue.get(name) if row is None or row[1] == "refused" else None
            if waiting is not None:
                return self._shown(waiting)
        return None if row is None else shown(*row)

    def _row(self, columns: str, name: str) -> tuple[Any, ...] | None:
        query = f"SELECT {columns} FROM tryons WHERE id = ?"  # noqa: S608  no name comes from outside
        row: tuple[Any, ...] | None = self._reader.execute(query, (name,)).fetchone()
        return row

    def _rows_before(self, before: Place, most: int, state: str | None) -> Sequence[tuple[Any, ...]]:
        condition, values = ("", ()) if state is None else ("state = ? AND ", (state,))
        rows: Sequence[tuple[Any, ...]] = self._reader.execute(
            f"SELECT submitted, id, state, said, news FROM tryons WHERE {condition}(submitted, id) < (?, ?) "  # noqa: S608
            "ORDER BY submitted DESC, id DESC LIMIT ?",
            (*values, *before, most),
        ).fetchall()
        return rows

    def _waiting_before(self, before: Place, most: int) -> Sequence[tuple[Place, Waiting]]:
        places = (((milliseconds(each.submitted), each.name), each) for each in self._queue)
        return heapq.nlargest(most, (each for each in places if each[0] < before), key=lambda each: each[0])

    def _shown(self, waiting: Waiting) -> TryOnView:
        return waiting.view(self._queue.position(waiting))

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Several reads of one state of things."""
        self._reader.execute("BEGIN")
        try:
            yield
        finally:
            self._reader.execute("COMMIT")

    # ---- writing

    def submitted(self, fields: Mapping[str, Any], partition: int, offset: int) -> None:
        """This gateway has just sent it: so it is known before Kafka tells of it."""
        at = milliseconds(now())
        waiting = Waiting.of(str(fields[CORRELATION_ID]), fields, partition, offset, at)
        with self._lock:
            self._wait_unless_known(waiting)

    def take(self, batch: Sequence[Heard]) -> None:
        """All that was heard, at once. Hearing it again changes nothing."""
        rows = self._fold.take(batch)
        with self._writing():
            self._writer.executemany(FORGET, rows.forgotten)
            self._writer.executemany(FORGET_EVENTS, rows.forgotten)
            self._writer.executemany(PUT_STATE, rows.states.values())
            self._writer.executemany(PUT_REFUSAL, rows.refusals.values())
            self._writer.executemany(PUT_EVENT, rows.events)
            self._writer.executemany(TRIM_EVENTS, [(*key, PROGRESS, MOST_EVENTS) for key in rows.talked])
            with self._lock:
                self._writer.execute("COMMIT")
                for name, _ in rows.states:
                    self._queue.remove(name)
                for name, refusal in rows.refusals.items():
                    waiting = self._queue.get(name)
                    if waiting is not None and waiting.request_id == refusal.request_id:
                        self._queue.remove(name)
                for each in batch:
                    if isinstance(each.news, Waiting):
                        self._wait_unless_known(each.news)

    def waits_before(self, partition: int, offset: int) -> bool:
        """Whether a request that lies before this offset waits, as far as the view knows."""
        with self._lock:
            return bool(self._queue.before(partition, offset))

    def taken(self, partition: int, offset: int) -> list[str]:
        """No request before this offset waits any more, and whatever came of them has been heard. The names of those
        that nothing came of: their requests could not be read, or were for try-ons that there were already."""
        with self._lock:
            self._taken[partition] = offset
            gone = [each.name for each in self._queue.before(partition, offset)]
            for name in gone:
                self._queue.remove(name)
        return gone

    def forget_before(self, topic: str, partition: int, offset: int) -> None:
        """Kafka does not keep what lay before this offset."""
        with self._writing():
            if topic in KINDS:
                self._writer.execute(FORGET_EVENTS_BEFORE, (KINDS[topic], partition, offset))
            if topic in (TRYON_STATUS, TRYON_RESPONSES):
                refused = topic == TRYON_RESPONSES
                gone = self._writer.execute(FORGET_BEFORE, (refused, partition, offset)).fetchall()
                self._fold.forget((name, partition) for (name,) in gone)
            self._writer.execute("COMMIT")

    def _wait_unless_known(self, waiting: Waiting) -> None:
        row = self._row("state, request_id", waiting.name)
        answered = row is not None and (row[0] != "refused" or row[1] == waiting.request_id)
        if not answered and waiting.offset >= self._taken.get(waiting.partition, 0):
            self._queue.add(waiting)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction, which whoever is inside commits."""
        self._writer.execute("BEGIN")
        try:
            yield
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    # ---- the last of them, since from here on `list` is this one

    def list(self, state: str | None, limit: int, cursor: str | None) -> tuple[list[TryOnView], str | None]:
        """Newest first, and where to go on; all states unless one is named. Raises InvalidRequestError."""
        before = (2**63 - 1, "") if cursor is None else _parsed(cursor)
        with self._lock:
            waiting = self._waiting_before(before, limit + 1) if state in (None, "waiting") else ()
            rows = self._rows_before(before, limit + 1, state) if state != "waiting" else ()
            further = len(waiting) + len(rows) > limit
            found = [(place, self._shown(each)) for place, each in waiting]
            # One that was refused may have been asked for again.
            rows = [row for row in rows if self._queue.get(row[1]) is None]
        found += [((submitted, row[0]), TryOnView.model_validate_json(shown(*row))) for submitted, *row in rows]
        found.sort(key=lambda each: each[0], reverse=True)
        del found[limit:]
        return [view for _, view in found], _written(found[-1][0]) if further and found else None


def _parsed(cursor: str) -> Place:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidRequestError(f"cursor={cursor[:80]!r} is not usable: give what came as next with the page before.")
    return int(found[1]), found[2]


def _written(place: Place) -> str:
    return f"{place[0]}.{place[1]}"
