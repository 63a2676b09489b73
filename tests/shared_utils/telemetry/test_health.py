"""Live and ready: what a restart would mend, and what only time does."""

import threading

import pytest

from shared_utils.telemetry import health as module
from shared_utils.telemetry.health import Health, Part


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "Part", lambda name: Part(name, made))
    return made


def ended() -> threading.Thread:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    return thread


def test_nothing_is_ready_before_there_is_a_part() -> None:
    assert (Health().not_live(), Health().not_ready()) == ([], ["starting"])


def test_all_parts_have_to_be_ready() -> None:
    health = Health()
    first, second = health.part("first"), health.part("second")
    first.ready = True
    assert health.not_ready() == ["second: not ready yet"]
    second.ready = True
    assert health.ready


def test_a_load_of_the_models_may_take_as_long_as_it_takes(clock: Clock) -> None:
    health = Health()
    health.part("sampling")
    clock.now += 1e6
    assert health.not_live() == []


def test_a_loop_that_does_not_turn_is_dead(clock: Clock) -> None:
    health = Health()
    part = health.part("sampling")
    part.ready = True
    part.turn()
    clock.now += module.STUCK_SECONDS
    assert health.not_live() == []
    clock.now += 1
    assert health.not_live() == ["sampling: has not turned for 601 s, with nothing in hand"]
    assert not health.ready
    part.turn()
    assert health.ready


def test_a_long_job_is_no_reason(clock: Clock) -> None:
    health = Health()
    part = health.part("sampling")
    part.turn()
    part.busy_when(lambda: True)
    clock.now += 1e6
    assert health.not_live() == []


def test_a_thread_that_has_ended_is_dead() -> None:
    health = Health()
    part = health.part("sampling")
    part.runs_in(threading.Thread(target=lambda: None))
    assert health.not_live() == []  # it has not begun
    part.runs_in(ended())
    assert health.not_live() == ["sampling: its thread has ended"]


def test_who_ends_is_live_and_not_ready() -> None:
    health, stopping = Health(), threading.Event()
    part = health.part("sampling")
    part.ready = True
    health.ends_with(stopping)
    assert health.ready
    stopping.set()
    part.runs_in(ended())
    assert (health.not_live(), health.not_ready()) == ([], ["stopping"])
