"""The calls under way in a server, up to a limit."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from shared_utils.turns import BusyError

BUSY_SECONDS = 1


class Calls:
    """Those of our own methods. All of them run in one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answering: set[asyncio.Task[Any]] = set()
        self._streams = 0
        self._ended = False

    @contextmanager
    def answer(self) -> Iterator[None]:
        """A call that is answered inside."""
        self._check()
        task = cast("asyncio.Task[Any]", asyncio.current_task())  # gRPC gives each call one
        self._answering.add(task)
        try:
            yield
        finally:
            # The task goes on a little: it sends the answer.
            task.add_done_callback(self._answering.discard)

    @contextmanager
    def stream(self) -> Iterator[None]:
        """A call whose answer is a stream, written inside."""
        self._check()
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    def end(self) -> None:
        """Let no more in."""
        self._ended = True

    async def answered(self, seconds: float) -> None:
        """Wait that long for the ends of all but the streams."""
        if self._answering:
            await asyncio.wait(self._answering, timeout=seconds)

    def _check(self) -> None:
        if self._ended:
            raise BusyError("This server is about to end. Ask another one.", BUSY_SECONDS)
        if len(self._answering) + self._streams >= self._most:
            raise BusyError(f"{self._most} calls are under way already, which is the most.", BUSY_SECONDS)
