"""Ending a process that serves until it is told to stop."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger("vtryon.serve")

STOPPED = 130
"""What shells report of a command that was stopped by Ctrl-C."""


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set. A second Ctrl-C ends the process at once."""
    stopping = threading.Event()
    heard, wakeup = socket.socketpair()
    wakeup.setblocking(False)
    # A thread hears them, since the main one does so only between two lines of Python: one that arrives as it begins
    # to wait would be heard when the wait is over.
    listener = threading.Thread(target=_listen, args=(heard, stopping), name="signals", daemon=True)
    listener.start()
    # The socket first and last, so that none falls between what did hear it and what will.
    before_wakeup = signal.set_wakeup_fd(wakeup.fileno())
    before = {number: signal.signal(number, _left_to_the_listener) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_wakeup)
        wakeup.close()
        listener.join()
        heard.close()


def _left_to_the_listener(number: int, frame: object) -> None:
    """Python tells the wakeup's socket only of signals that have a handler."""


def _listen(heard: socket.socket, stopping: threading.Event) -> None:
    told = False
    while number := heard.recv(1):
        if told and number[0] == signal.SIGINT:
            # As if it were killed, which all that it has in hand survives. Python must not take itself down here: it
            # waits for pools of threads, and those inside PyTorch or uvloop end the process with SIGABRT or SIGSEGV.
            os._exit(STOPPED)
        if number[0] in (signal.SIGTERM, signal.SIGINT):
            told = True
            stopping.set()
            # Said last: whoever reads it may send the second one at once.
            log.info("stopping")
