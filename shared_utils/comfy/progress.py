"""How far a job is, and the way to stop it.

Whoever starts a job watches it: the watcher is told of every node that starts and of every step that a node reports.
It stops the job by raising CancelledError, which therefore takes effect between nodes and between sampler steps.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """A node has done `done` of `total` steps; a total of 0 means that it has only been started."""

    node: str
    done: int = 0
    total: int = 0


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


@contextmanager
def running(node: str) -> Iterator[None]:
    """What ComfyUI reports inside comes from this node."""
    token = _node.set(node)
    try:
        _watcher.get()(Step(node))
        yield
    finally:
        _node.reset(token)


def comfy_hook(done: int, total: int, preview: Any = None, **others: Any) -> None:
    """What ComfyUI calls for every step of a node that counts its steps."""
    _watcher.get()(Step(_node.get(), done, total))
