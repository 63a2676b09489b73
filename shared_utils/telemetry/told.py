"""Tells of what happens to whoever wants to know, without handing them down through all that lies between."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, ParamSpec

P = ParamSpec("P")


class Told(Generic[P]):
    """One kind of news."""

    def __init__(self, name: str) -> None:
        self._hears: ContextVar[Callable[P, None] | None] = ContextVar(name, default=None)

    @contextmanager
    def to(self, hears: Callable[P, None]) -> Iterator[None]:
        """Of all that happens inside, in this thread."""
        token = self._hears.set(hears)
        try:
            yield
        finally:
            self._hears.reset(token)

    def tell(self, *args: P.args, **kwargs: P.kwargs) -> None:
        hears = self._hears.get()
        if hears is not None:
            hears(*args, **kwargs)
