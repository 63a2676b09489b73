"""Ports to listen on, and what can go wrong with calls that come in over one, whatever they speak."""

import random
import socket

from shared_utils.errors import VtryonError

LOOPBACK = "127.0.0.1"

# Clients that look for a server which is away are given ports of the system's choice, on Linux from 32768 up. In that
# range one of them would sooner or later be given the server's own.
_PORTS = range(20000, 32000)
_given: set[int] = set()
"""Whoever was given one may not listen yet."""


class CannotListenError(VtryonError):
    """The address is another program's, not this machine's, or needs more rights."""

    code = "CANNOT_LISTEN"


class TooSlowError(VtryonError):
    """The call's content did not arrive in time."""

    code = "REQUEST_TOO_SLOW"
    retryable = True


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    while True:
        port = random.choice(_PORTS)  # noqa: S311  nothing is kept secret by it
        if port not in _given and is_free(port):
            _given.add(port)
            return port


def is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
