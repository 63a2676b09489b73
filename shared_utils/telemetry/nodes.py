"""How long each node of ComfyUI takes: told to whoever wants to know, and seen in the trace."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from shared_utils.telemetry.traces import span

Told = Callable[[str, float], None]
"""Takes a node's name, and its seconds."""

_told: ContextVar[Told | None] = ContextVar("told", default=None)


@contextmanager
def nodes_told_to(told: Told) -> Iterator[None]:
    """Of all that run inside, in this thread."""
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


@contextmanager
def timed(node: str) -> Iterator[None]:
    """A run of a node."""
    began = time.perf_counter()
    try:
        with span(node, node=node):
            yield
    finally:
        told = _told.get()
        if told is not None:
            told(node, time.perf_counter() - began)
