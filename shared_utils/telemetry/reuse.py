"""How often work is found done: told to whoever wants to know."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Told = Callable[[str, bool], None]
"""Takes what the work was, and whether it was found."""

_told: ContextVar[Told | None] = ContextVar("told", default=None)


@contextmanager
def reuse_told_to(told: Told) -> Iterator[None]:
    """Of all that is looked for inside, in this thread."""
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


def looked_for(work: str, found: bool) -> None:
    told = _told.get()
    if told is not None:
        told(work, found)
