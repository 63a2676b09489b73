"""Calls that may never come back, given up after a while.

librdkafka can wait for ever for a group's coordinator that went away, whatever timeout it was given (its issues 5456,
5511 and 3740). What is given up on is left to its thread, which ends with the process.
"""

import threading
from collections.abc import Callable


class NoReturnError(Exception):
    """The call did not come back in time, and may still be under way."""


def bounded(call: Callable[[], object], seconds: float) -> None:
    """Do it in another thread, and raise what it raises; or NoReturnError."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as failure:
            raised.append(failure)

    thread = threading.Thread(target=run, name="bounded call", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise NoReturnError(f"no answer within {seconds:g} s")
    if raised:
        raise raised[0]
