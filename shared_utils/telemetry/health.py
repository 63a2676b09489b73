"""How a process is: what its parts say, for whoever starts it, restarts it, or sends it work."""

import threading
import time
from collections.abc import Callable

STUCK_SECONDS = 600.0
"""A part that has not turned for so long, with nothing in hand, does not turn any more. The longest wait for Kafka, to
take up many try-ons or to end a transaction whose broker died, is far shorter."""


class Part:
    """One thing that the process can't be of use without: a loop, as a rule. Safe to be told by any thread."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.ready = False
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._turned: float | None = None
        self._busy: Callable[[], bool] = lambda: False

    def runs_in(self, thread: threading.Thread) -> None:
        """It is dead when this thread is."""
        self._thread = thread

    def busy_when(self, busy: Callable[[], bool]) -> None:
        """While it has a job in hand, it may take as long as it takes."""
        self._busy = busy

    def turn(self) -> None:
        """It goes round. From the first time on it is expected to go on doing so."""
        self._turned = self._clock()

    def rest(self) -> None:
        """It is not expected to turn until it does so again."""
        self._turned = None

    def trouble(self) -> str | None:
        """What a restart would mend."""
        if self._thread is not None and self._thread.ident is not None and not self._thread.is_alive():
            return f"{self.name}: its thread has ended"
        if self._turned is not None and not self._busy() and self._clock() - self._turned > STUCK_SECONDS:
            return f"{self.name}: has not turned for {self._clock() - self._turned:.0f} s, with nothing in hand"
        return None


class Health:
    """A process's. It is not ready before it has a part that is."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._stopping = threading.Event()

    def part(self, name: str) -> Part:
        """One more that has to be ready."""
        made = Part(name)
        self._parts.append(made)
        return made

    def ends_with(self, stopping: threading.Event) -> None:
        """When this is set, the process is about to end."""
        self._stopping = stopping

    def not_live(self) -> list[str]:
        """What a restart would mend; nothing if it is live. While it ends, its parts may."""
        if self._stopping.is_set():
            return []
        return [trouble for part in self._parts if (trouble := part.trouble()) is not None]

    def not_ready(self) -> list[str]:
        """What is in the way; nothing if it is ready."""
        if self._stopping.is_set():
            return ["stopping"]
        waiting = [f"{part.name}: not ready yet" for part in self._parts if not part.ready]
        return waiting or self.not_live() or ([] if self._parts else ["starting"])

    @property
    def ready(self) -> bool:
        return not self.not_ready()
