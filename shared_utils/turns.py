"""One job at a time: what stands in front of a stage that several callers can reach at once.

A request waits for its turn in a bounded queue. What nobody wants any more never starts, or is stopped between two
steps; the next one begins when it has really ended.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from contextvars import copy_context
from math import ceil, inf
from typing import Any

from shared_utils.comfy.progress import Step
from shared_utils.contracts import Failure, Success
from shared_utils.ending import AT_WORK
from shared_utils.errors import CancelledError, VtryonError
from shared_utils.stage import Stage, answer

LAST_SECONDS = 5.0
"""How long whoever closes waits for the end of a job that was given up."""


class BusyError(VtryonError):
    """As many requests wait as may, or the process is about to end."""

    code = "BUSY"
    retryable = True

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Turn:
    """A request that waits for its turn, has it, or had it."""

    def __init__(self, fields: Mapping[str, Any], until: float) -> None:
        self.fields = fields
        self.answer: Future[Success | Failure] = Future()
        """Has CancelledError if its time was over before it began, BusyError if the process ended before that."""
        self._until = until
        self._unwanted = threading.Event()
        self._context = copy_context()
        """Of whoever asks: the trace and the ids of the log go on in the thread that works."""

    def give_up(self) -> None:
        """Nobody waits for the answer any more: never start, or stop between two steps."""
        self._unwanted.set()
        self.answer.cancel()

    def run(self, stage: Stage) -> None:
        """Answer it, unless that is too late."""
        if not self.answer.set_running_or_notify_cancel():
            return
        try:
            self._watch()
            self.answer.set_result(self._context.run(answer, stage, self.fields, self._watch))
        except BaseException as failed:
            self.answer.set_exception(failed)

    def _watch(self, step: Step | None = None) -> None:
        if self._unwanted.is_set() or time.monotonic() >= self._until:
            raise CancelledError("Nobody waits for this request any more.")


class Turns:
    """Works in a thread of its own from the start: on the warming up first, then on what is asked."""

    def __init__(self, stage: Stage, most: int) -> None:
        self.warm: Future[None] = Future()
        """Has a result once the stage is warm. What is asked before that waits."""
        self._stage = stage
        self._most = most
        self._waiting: deque[Turn] = deque()
        self._in_hand: Turn | None = None
        self._seconds = 1.0
        self._closed = False
        self._changed = threading.Condition()
        # A daemon, so that a second Ctrl-C ends the process whatever it is doing.
        self._thread = threading.Thread(target=self._work, name=f"{AT_WORK}{stage.name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    @property
    def working(self) -> bool:
        """Whether one is in hand."""
        return self._in_hand is not None

    @property
    def thread(self) -> threading.Thread:
        """What works."""
        return self._thread

    @property
    def seconds(self) -> int:
        """When a place may be free: about as long as the last job took."""
        return ceil(self._seconds)

    def ask(self, fields: Mapping[str, Any], until: float | None = None) -> Turn:
        """Take up a request. Past `until`, on the clock time.monotonic(), nobody waits for its answer."""
        turn = Turn(fields, inf if until is None else until)
        with self._changed:
            if self._closed:
                raise self._ending()
            if self.waiting >= self._most + (not self.working):
                raise BusyError(
                    f"{self.waiting} requests wait for their turn already. Try again in {self.seconds} s.", self.seconds
                )
            self._waiting.append(turn)
            self._changed.notify()
        turn.answer.add_done_callback(lambda _: self._forget(turn))
        return turn

    def end(self) -> None:
        """Take no more, and refuse those that wait. The one in hand goes on."""
        with self._changed:
            self._closed = True
            left = list(self._waiting)
            self._waiting.clear()
            self._changed.notify()
        for turn in left:
            if turn.answer.set_running_or_notify_cancel():
                turn.answer.set_exception(self._ending())

    def close(self, seconds: float = 0) -> None:
        """End, and wait that long for the one in hand; then give it up."""
        self.end()
        self._thread.join(seconds)
        if turn := self._in_hand:
            turn.give_up()
        self._thread.join(LAST_SECONDS)

    def _work(self) -> None:
        try:
            self._stage.warm_up()
        except BaseException as failed:
            self.end()
            self.warm.set_exception(failed)
            return
        self.warm.set_result(None)
        while turn := self._next():
            began = time.monotonic()
            turn.run(self._stage)
            self._seconds = max(1.0, time.monotonic() - began)
            self._in_hand = None

    def _next(self) -> Turn | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            self._in_hand = self._waiting.popleft() if self._waiting else None
            return self._in_hand

    def _forget(self, turn: Turn) -> None:
        """Its place is free as soon as it was given up, not only when its turn comes."""
        with self._changed:
            if turn in self._waiting:
                self._waiting.remove(turn)

    def _ending(self) -> BusyError:
        return BusyError(f"This process of {self._stage.name} is about to end. Ask another one.", self.seconds)
