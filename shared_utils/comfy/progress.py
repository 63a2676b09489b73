"""How far a job is, and the way to stop it.

Whoever starts a job watches it: the watcher is told of every node that starts and of every step that a node reports.
It stops the job by raising CancelledError, which therefore takes effect between nodes and between sampler steps.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from shared_utils.telemetry.nodes import timed

MOST_PREVIEWS = 8
"""Of one run of a node."""
PREVIEW_SIDE = 160
MOST_PREVIEW_BYTES = 16 * 1024


@dataclass(frozen=True)
class Step:
    """A node has done `done` of `total` steps; a total of 0 means that it has only been started."""

    node: str
    done: int = 0
    total: int = 0
    preview: bytes | None = None
    """What the picture looks like by now: a small JPEG, with some of the sampler's steps."""


Watcher = Callable[[Step], None]


def unwatched(step: Step) -> None:
    """Nobody is looking."""


_watcher: ContextVar[Watcher] = ContextVar("watcher", default=unwatched)
_node: ContextVar[str] = ContextVar("node", default="")


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Tell `watcher` of all that happens inside, in this thread."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def tell(step: Step) -> None:
    """What a node has done, to whoever watches. Raises CancelledError if the job is to stop."""
    _watcher.get()(step)


@contextmanager
def running(node: str) -> Iterator[None]:
    """What ComfyUI reports inside comes from this node."""
    token = _node.set(node)
    try:
        with timed(node):
            tell(Step(node))
            yield
    finally:
        _node.reset(token)


def comfy_hook(done: int, total: int, preview: Any = None, **others: Any) -> None:
    """What ComfyUI calls for every step of a node that counts its steps."""
    shown = preview is not None and _is_shown(done, total)
    tell(Step(_node.get(), done, total, _small_jpeg(preview[1]) if shown else None))


def _is_shown(done: int, total: int) -> bool:
    """A thousand steps are no thousand pictures."""
    return done * MOST_PREVIEWS // max(total, 1) != (done - 1) * MOST_PREVIEWS // max(total, 1)


def _small_jpeg(picture: Any) -> bytes | None:
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    written = BytesIO()
    picture.save(written, "JPEG", quality=70)
    return written.getvalue() if written.tell() <= MOST_PREVIEW_BYTES else None
