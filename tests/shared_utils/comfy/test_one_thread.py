"""Whatever thread asks, nodes run on the one that was lent, one at a time."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TypeVar

import pytest

from shared_utils.comfy.one_thread import Busy, busy, lend_this_thread, on_the_nodes_thread

T = TypeVar("T")
SOON = 30

said: ContextVar[str] = ContextVar("said", default="nothing")


def in_thread(function: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(SOON)


def test_without_a_lent_thread_it_is_done_here() -> None:
    assert in_thread(lambda: on_the_nodes_thread(threading.get_ident) == threading.get_ident())


def test_it_is_done_on_the_lent_thread_by_all_who_ask() -> None:
    def ask() -> set[int]:
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(on_the_nodes_thread, threading.get_ident) for _ in range(20)]
            return {each.result(SOON) for each in asked}

    assert lend_this_thread(ask) == {threading.get_ident()}
    test_without_a_lent_thread_it_is_done_here()


def test_what_is_asked_from_there_is_done_there() -> None:
    inner = lend_this_thread(lambda: on_the_nodes_thread(lambda: on_the_nodes_thread(threading.get_ident)))
    assert inner == threading.get_ident()


def test_it_sees_the_context_of_who_asks() -> None:
    def ask() -> str:
        said.set("hello")
        return on_the_nodes_thread(said.get)

    assert lend_this_thread(lambda: in_thread(ask)) == "hello"
    assert said.get() == "nothing"


@pytest.mark.parametrize("failed", [ValueError("no"), KeyboardInterrupt()])
def test_what_it_raises_is_raised_where_it_was_asked(failed: BaseException) -> None:
    def fail() -> None:
        raise failed

    def ask() -> BaseException:
        with pytest.raises(type(failed)) as caught:
            on_the_nodes_thread(fail)
        return caught.value

    assert lend_this_thread(ask) is failed
    with pytest.raises(type(failed)):
        lend_this_thread(fail)


def test_who_holds_the_lock_holds_it_on_the_nodes_thread_too() -> None:
    def ask() -> str:
        with busy, busy:
            return on_the_nodes_thread(again)

    def again() -> str:
        with busy:
            return "held"

    assert lend_this_thread(ask) == "held"
    assert in_thread(again) == "held"  # it was given back


def test_the_lock_keeps_others_out() -> None:
    lock, inside, outside = Busy(), threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        with lock:
            with lock:
                inside.set()
                assert outside.wait(SOON)
            order.append("first")

    def second() -> None:
        assert inside.wait(SOON)
        outside.set()
        with lock:
            order.append("second")

    for _ in range(200):
        inside.clear()
        outside.clear()
        with ThreadPoolExecutor(2) as pool:
            for each in [pool.submit(first), pool.submit(second)]:
                each.result(SOON)
    assert order == ["first", "second"] * 200


def test_the_lock_forgets_who_held_it() -> None:
    """A context that was copied while it was held, as that of a thread that is started then, holds nothing later."""
    from contextvars import copy_context

    lock = Busy()
    with lock:
        late = copy_context()
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            assert done.wait(SOON)

    def try_it() -> bool:
        with lock:
            return done.is_set()

    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(hold)
        assert taken.wait(SOON)
        tried = pool.submit(late.run, try_it)
        done.set()
        assert tried.result(SOON)
        held.result(SOON)
