"""Who may come in, and how often."""

import hmac
import math
import threading
import time
from collections.abc import Callable, Mapping

from orchestrator.gateway.errors import RateLimitedError, UnauthorizedError

ANYONE = "anyone"
"""The caller's name where no API keys are set."""


class Keys:
    """Who has which API key."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = {name: key.encode() for name, key in keys.items()}

    @property
    def needed(self) -> bool:
        return bool(self._keys)

    def owner(self, key: str | None) -> str:
        """The name of whoever has this key. Every key is compared, in a time that tells nothing of it."""
        if not self._keys:
            return ANYONE
        given = (key or "").encode("utf-8", "replace")
        found = [name for name, known in self._keys.items() if hmac.compare_digest(known, given)]
        if not found:
            raise UnauthorizedError(
                "Send one of this gateway's API keys: Authorization: Bearer KEY."
                if key is None
                else "This API key is none of this gateway's."
            )
        return found[0]


def bearer(header: str | None) -> str | None:
    """The key in `Authorization: Bearer KEY`."""
    scheme, _, key = (header or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


class Rates:
    """A bucket of tokens for each caller: a call takes one, and time brings them back."""

    def __init__(self, per_minute: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        """What each had left, and when."""
        self._lock = threading.Lock()

    def take(self, owner: str) -> None:
        """Raises RateLimitedError."""
        if self._per_minute is None:
            return
        at, size, per_second = self._clock(), max(1.0, self._per_minute), self._per_minute / 60
        with self._lock:
            left, since = self._buckets.get(owner, (size, at))
            left = min(size, left + (at - since) * per_second)
            allowed = left >= 1
            self._buckets[owner] = (left - 1 if allowed else left, at)
        if not allowed:
            wait = math.ceil((1 - left) / per_second)
            raise RateLimitedError(
                f"{owner} may ask for try-ons {self._per_minute:g} times a minute. Try again in {wait} s.", wait
            )
