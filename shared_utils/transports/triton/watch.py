"""Sees to it that a model whose process died does not stay dead.

Triton starts no other in its place (it once did), and goes on saying that the model is ready. So the server is ended:
whoever runs it, Docker or Kubernetes, starts it anew.
"""

import contextlib
import fcntl
import logging
import os
import signal
import threading
from pathlib import Path

log = logging.getLogger("vtryon.triton")

LOOK_SECONDS = 1.0
HUNG_SECONDS = 120.0
"""How long it may take to end in good order. Work in hand that outlasts its --exit-timeout-secs can make it hang."""


def this_server() -> str:
    """Names the server that started this process: by when it began, as another may have had its number before."""
    began = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{os.getppid()} {began}"


class Alive:
    """The process of an instance says that it lives: it holds the lock of a file, which the system takes from it when
    it dies, however that comes about. The file says whose process it is."""

    def __init__(self, folder: Path, instance: str, server: str) -> None:
        folder.mkdir(exist_ok=True)
        self._file = folder / instance
        locked = folder / f".{instance}"
        self._held = locked.open("w")
        fcntl.flock(self._held, fcntl.LOCK_EX)
        self._held.write(server)
        self._held.flush()
        locked.replace(self._file)  # under its name nobody sees it without the lock

    def end(self) -> None:
        """It ends in good order."""
        self._file.unlink(missing_ok=True)
        self._held.close()
        with contextlib.suppress(OSError):  # others live
            self._file.parent.rmdir()


class Watch:
    """Who of a server's processes has died."""

    def __init__(self, folder: Path, server: str) -> None:
        self._folder = folder
        self._server = server
        self._pid = os.getppid()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def died(self) -> list[str]:
        """The instances whose file nobody holds any more. What a server before this one left is no death."""
        return [file.name for file in self._folder.glob("[!.]*") if _holder_died(file, self._server)]

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            if dead := self.died():
                log.error(
                    "the process of %s died, and Triton starts no other: the server is ended, to be started anew",
                    ", ".join(dead),
                )
                self._end_server()
                return

    def _end_server(self) -> None:
        self._signal(signal.SIGTERM)
        # First it answers what is in hand elsewhere, then it ends its models, this one too.
        if not self._ended.wait(HUNG_SECONDS):
            self._signal(signal.SIGKILL)

    def _signal(self, how: signal.Signals) -> None:
        if os.getppid() == self._pid:  # else the server has ended, and somebody else looks after this process
            os.kill(self._pid, how)


def _holder_died(file: Path, server: str) -> bool:
    try:
        with file.open() as looked_at:
            fcntl.flock(looked_at, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return looked_at.read() == server and file.exists()
    except (BlockingIOError, FileNotFoundError):  # it lives, or has just ended in good order
        return False
