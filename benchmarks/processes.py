"""The processes of a benchmark: started in their own environment, killed, started again, and gone when it is over."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
END_SECONDS = 20.0
_libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class Child:
    """A process that can be killed and started again under the same name, and that does not outlive this one."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.starts = 0
        self._command = command
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.starts += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ended(self) -> int | None:
        """Its exit code, if it has ended by itself."""
        return None if self._process is None else self._process.poll()

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def environment(bootstrap: str, folder: Path, **settings: str) -> dict[str, str]:
    """What the processes of a run share. Nothing of the user's own settings for vtryon reaches them."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "VTRYON_CACHE": str(folder / "cache"),
        "OUTPUT_DIR": str(folder / "output"),
        "INTERMEDIATE_DIR": str(folder / "intermediate"),
        "PYTHONPATH": str(ROOT),
        **settings,
    }


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


@contextlib.contextmanager
def all_stopped(children: list[Child]) -> Iterator[None]:
    try:
        yield
    finally:
        for child in children:
            child.stop()


def end_in_order() -> None:
    """Asked to end, the program leaves its `with` blocks first: processes are ended and folders removed."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
