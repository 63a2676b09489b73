"""How the models of one server tell of their progress and are stopped: by files in a folder that only they can read.

Each model is a process of its own, and the one that is asked for news is another than the one that works.
"""

import contextlib
import json
import logging
import os
import shutil
import stat
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared_utils.comfy.progress import Step

log = logging.getLogger("vtryon.triton")

MOST_CALLS = 64
"""How many calls are remembered: those that were heard of last."""


def server_folder() -> Path:
    """The folder that the processes of this server share: its process started them all."""
    folder = Path(tempfile.gettempdir()).resolve() / f"vtryon-triton-{os.getppid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise PermissionError(
            f"{folder} is open to others: who put it there could read what is worked on. Remove it, "
            "or set TMPDIR to a folder of the server's own."
        )
    return folder


def left(folder: Path) -> None:
    """Remove a process's own folder in there, and with the last one all that holds them."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # another one has something in it
        for above in folder.relative_to(server_folder()).parents:
            (server_folder() / above).rmdir()


class NewsFolder:
    """News of calls, each by its name, an Identifier. It serves no purpose but to be looked at: where it can't be
    written, the work goes on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, call: str, stage: str) -> None:
        """A stage takes up the call. If it has had it before, this is another call of the same name: what was told of
        the first one, and whether that was stopped, no longer counts."""
        begun = self._folder / call / f"{stage}.begun"
        with _left_out("the beginning", call):
            if begun.exists():
                shutil.rmtree(begun.parent)
            self._touch(begun)

    def tell(self, call: str, stage: str, step: Step) -> None:
        preview = None if step.preview is None else b64encode(step.preview).decode()
        news = {"stage": stage, "node": step.node, "done": step.done, "total": step.total, "preview": preview}
        with _left_out("a step", call):
            self._append(self._folder / call, f"{json.dumps(news)}\n".encode())

    def steps(self, call: str, after: int = 0) -> list[str]:
        """What was told of the call from that number on: a line of JSON for each step."""
        try:
            written = (self._folder / call / "steps").read_text()
        except FileNotFoundError:
            return []
        *lines, _ = written.split("\n")  # behind the last end of a line is nothing, or half a line
        return lines[max(after, 0) :]

    def stop(self, call: str) -> None:
        """Have it end at its next step, or not begin."""
        self._touch(self._folder / call / "stop")

    def is_stopped(self, call: str) -> bool:
        return (self._folder / call / "stop").exists()

    def _touch(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        calls = sorted(self._folder.iterdir(), key=lambda folder: folder.stat().st_mtime_ns, reverse=True)
        for call in calls[MOST_CALLS:]:
            shutil.rmtree(call, ignore_errors=True)

    def _append(self, folder: Path, line: bytes) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Two stages of a call may write at a time: one write each, to the end, leaves their lines whole.
        steps = os.open(folder / "steps", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(steps, line)
        finally:
            os.close(steps)
        os.utime(folder)


@contextmanager
def _left_out(what: str, call: str) -> Iterator[None]:
    try:
        yield
    except OSError as failed:  # no room, or another process has just forgotten this call
        log.debug("%s of %s left out of the news: %s", what, call, failed)
