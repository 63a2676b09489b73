"""Server-sent events, as a client reads them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LONGEST_LINE = 4 * 1024 * 1024


@dataclass(frozen=True)
class ServerSent:
    """One event."""

    event: str
    data: str
    id: str | None
    """None if it came without one: where to go on has not changed."""


def parsed(pieces: Iterable[bytes]) -> Iterator[ServerSent]:
    """The events in a stream, as soon as each is whole. Raises ValueError for what is no such stream."""
    kind, name, data = "message", None, list[str]()
    for line in _lines(pieces):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield ServerSent(kind, "\n".join(data), name)
            kind, name, data = "message", None, []
        elif field == "event":
            kind = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            name = value


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    # Not by str.splitlines, nor httpx's lines: those also break at characters that a prompt may hold.
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode()
        if len(rest) > LONGEST_LINE:
            raise ValueError(f"a line is longer than {LONGEST_LINE} bytes")
