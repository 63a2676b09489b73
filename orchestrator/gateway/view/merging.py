"""What the two topics say of one try-on, as one row of events."""

from collections import deque
from collections.abc import Sequence

from orchestrator.gateway.models import Cursor, Event

Piece = tuple[int, int, bytes]
"""A record's offset, its time in milliseconds, and what it says."""


def merged(
    statuses: Sequence[Piece], progress: Sequence[Piece], after: Cursor, most: int, end: int | None
) -> list[Event]:
    """Each topic in its own order, the two by time. `statuses` and `progress` are the next of each, at most so many;
    `end` is the offset of the status with which the try-on ended: it comes when all else has been said."""
    said, doing = deque(statuses), deque(progress)
    last = said.pop() if said and said[-1][0] == end else None
    events: list[Event] = []
    while (said or doing) and len(events) < most:
        if said and not (doing and doing[0][1] < said[0][1]):
            offset, _, data = said.popleft()
            after = Cursor(offset, after.progress)
            events.append(Event("status", data, after))
        else:
            offset, _, data = doing.popleft()
            after = Cursor(after.status, offset)
            events.append(Event("progress", data, after))
    if last is not None and len(events) < most and len(progress) < most:
        events.append(Event("status", last[2], Cursor(last[0], after.progress), last=True))
    return events
