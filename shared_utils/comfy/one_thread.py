"""ComfyUI's nodes, one at a time and all on one thread: a service's main thread.

One at a time, since ComfyUI keeps its state in globals. On one thread, since a thread of its own for every job costs a
CPU a fifth of a try-on: glibc keeps large blocks for the main thread only, what other threads give back they fault in
page by page again; and OpenMP has its helpers wait beside every thread that has ever computed.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar, copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Busy:
    """A lock for `with`. Whoever holds it may take it again, on the nodes' thread too, which works in its context."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mine: ContextVar[object] = ContextVar("busy", default=None)
        self._holder: object = None
        self._depth = 0

    def __enter__(self) -> None:
        if self._holder is None or self._mine.get() is not self._holder:
            self._lock.acquire()
            self._holder = object()
            self._mine.set(self._holder)
        self._depth += 1

    def __exit__(self, *exception: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._holder = None
            self._lock.release()


busy = Busy()
"""Held while a node runs, and by whoever looks at what nodes change."""

Tasks = SimpleQueue[Callable[[], None] | None]
_lent: list[tuple[int, Tasks]] = []
"""The threads that nodes may run on, the newest last: one in a service, several where tests run services as threads."""
_lending = threading.Lock()


def lend_this_thread(function: Callable[[], T]) -> T:
    """Do `function` in another thread, and on this one the nodes that are run until it ends."""
    tasks: Tasks = SimpleQueue()
    lent = threading.get_ident(), tasks
    ended: Future[T] = Future()

    def beside() -> None:
        _settle(ended, function)
        with _lending:
            _lent.remove(lent)
        tasks.put(None)

    with _lending:
        _lent.append(lent)
    # A daemon, as all are that may be at work when the process is to end at once.
    threading.Thread(target=copy_context().run, args=(beside,), name="service", daemon=True).start()
    while (task := tasks.get()) is not None:
        task()
    return ended.result()


def on_the_nodes_thread(work: Callable[[], T]) -> T:
    """What `work` returns or raises, done on the thread that was lent, or here if none is."""
    done: Future[T] = Future()
    context = copy_context()
    with _lending:
        thread, tasks = _lent[-1] if _lent else (threading.get_ident(), None)
        if tasks is not None and thread != threading.get_ident():
            tasks.put(partial(context.run, _settle, done, work))
        else:
            tasks = None
    if tasks is None:
        return work()
    try:
        return done.result()
    finally:
        del done  # an exception would hold on to it, and it to the exception and all tensors on its way


def _settle(future: "Future[Any]", function: Callable[[], Any]) -> None:
    try:
        future.set_result(function())
    except BaseException as failed:
        future.set_exception(failed)
