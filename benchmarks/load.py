"""HTTP as lean as it gets, so that whoever asks is not what is measured."""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from statistics import quantiles
from typing import cast

HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_EVENT = re.compile(rb"event: (\w+)\n(?:id: \S+\n)?data: (.*)\n\n")


class FailedError(Exception):
    """The gateway did not answer as it should."""


def request(method: str, path: str, body: bytes = b"") -> bytes:
    kind = "content-type: application/json\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nhost: bench\r\n{kind}content-length: {len(body)}\r\n\r\n".encode() + body


class Connection(asyncio.Protocol):
    """One request after the other."""

    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(HEAD_END)
        length = _LENGTH.search(head)
        if found and len(body) >= int(length[1] if length else 0) and self._answer is not None:
            self._received = b""
            self._answer.set_result((int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(FailedError(f"the connection broke: {exc}"))

    async def ask(self, asked: bytes) -> tuple[int, bytes]:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(asked)
        return await self._answer

    def close(self) -> None:
        self._transport.close()


@dataclass
class Taken:
    """How long each of many things took."""

    milliseconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
    """All of them together."""

    @property
    def rate(self) -> float:
        return len(self.milliseconds) / self.seconds

    @property
    def p50(self) -> float:
        return quantiles(self.milliseconds, n=100)[49]

    @property
    def p99(self) -> float:
        return quantiles(self.milliseconds, n=100)[98]


async def ask_all(
    port: int, requests: Iterable[bytes], connections: int, status: int, on_answer: Callable[[bytes], None]
) -> Taken:
    """Over so many connections at once, each with one request under way."""
    taken, left = Taken(), iter(requests)
    loop = asyncio.get_running_loop()
    opened = [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in repeat(None, connections)]

    async def go_on(connection: Connection, left: Iterator[bytes]) -> None:
        for asked in left:
            begin = time.perf_counter()
            found, body = await connection.ask(asked)
            taken.milliseconds.append((time.perf_counter() - begin) * 1000)
            if found != status:
                raise FailedError(f"answered {found}: {body[:500]!r}")
            on_answer(body)

    begin = time.perf_counter()
    await asyncio.gather(*(go_on(connection, left) for connection in opened))
    taken.seconds = time.perf_counter() - begin
    for connection in opened:
        connection.close()
    return taken


class Stream(asyncio.Protocol):
    """Reads a stream of events to its end."""

    def __init__(self, path: str, on_event: Callable[[str, bytes], None]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._path = path
        self._on_event = on_event
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        asked = f"GET {self._path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n"
        cast(asyncio.Transport, transport).write(asked.encode())

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = 0
        for found in _EVENT.finditer(self._received):
            end = found.end()
            self._on_event(found[1].decode(), found[2])
            if not self.begun.done():
                self.begun.set_result(None)
        self._received = self._received[end:]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.begun.done():
            self.begun.set_exception(FailedError(f"no event came: {self._received[:500]!r}"))
        self.ended.set_result(None)
