"""One job at a time, in the order that they were asked for; what is too late or unwanted is not done."""

import queue
import threading
import time
from typing import Any

import pytest

from shared_utils.comfy.progress import comfy_hook
from shared_utils.contracts import Failure, OutputOptions, Request, Success
from shared_utils.errors import CancelledError, InternalError
from shared_utils.telemetry.traces import continued, outgoing
from shared_utils.turns import BusyError, Turns

PATIENCE = 60.0


class Ironing:
    """A stage that does a job when the test lets it."""

    name, verb, request_type, response_type, options = "ironing", "iron", Request, Success, OutputOptions()
    models: Any = None

    def __init__(self) -> None:
        self.begun: queue.Queue[str] = queue.Queue()
        self.go = threading.Event()
        self.failing: BaseException | None = None
        self.cold: BaseException | None = None
        self.traces: list[dict[str, str]] = []

    def warm_up(self) -> None:
        if self.cold:
            raise self.cold

    def run(self, request: Request) -> Success:
        self.traces.append(outgoing())
        self.begun.put(request.request_id)
        if self.failing:
            raise self.failing
        while not self.go.wait(0.02):
            comfy_hook(0, 0)
        return Success.to(request)


def test_one_after_the_other() -> None:
    stage = Ironing()
    turns = Turns(stage, 3)
    asked = [turns.ask({"request_id": name}) for name in ("first", "second", "third")]
    assert stage.begun.get(timeout=PATIENCE) == "first"
    assert (turns.working, turns.waiting, turns.seconds) == (True, 2, 1)
    assert stage.begun.empty()
    stage.go.set()
    assert [turn.answer.result(PATIENCE).request_id for turn in asked] == ["first", "second", "third"]
    turns.close()
    assert not turns.working


def test_the_trace_of_whoever_asks_goes_on() -> None:
    stage, came = Ironing(), {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    turns = Turns(stage, 1)
    with continued(came):
        turn = turns.ask({"request_id": "first"})
    stage.go.set()
    turn.answer.result(PATIENCE)
    turns.close()
    assert stage.traces == [came]


def test_no_queue_at_all() -> None:
    stage = Ironing()
    turns = Turns(stage, 0)
    turns.ask({"request_id": "first"})
    stage.begun.get(timeout=PATIENCE)
    with pytest.raises(BusyError, match="0 requests wait") as busy:
        turns.ask({})
    assert busy.value.retry_after == 1
    turns.close()


def test_what_comes_too_late_is_not_begun() -> None:
    stage = Ironing()
    turns = Turns(stage, 1)
    late = turns.ask({"request_id": "late"}, until=time.monotonic())
    with pytest.raises(CancelledError):
        late.answer.result(PATIENCE)
    assert stage.begun.empty()
    turns.close()


def test_closing_stops_the_one_in_hand_and_refuses_the_others() -> None:
    stage = Ironing()
    turns = Turns(stage, 1)
    first = turns.ask({"request_id": "first"})
    stage.begun.get(timeout=PATIENCE)
    second = turns.ask({"request_id": "second"})
    turns.close()
    stopped = first.answer.result(0)
    assert isinstance(stopped, Failure)
    assert stopped.error_code == "CANCELLED"
    with pytest.raises(BusyError, match="about to end"):
        second.answer.result(0)
    with pytest.raises(BusyError, match="about to end"):
        turns.ask({})


def test_a_stage_that_does_not_get_warm() -> None:
    stage = Ironing()
    stage.cold = InternalError("cold")
    turns = Turns(stage, 1)
    with pytest.raises(InternalError, match="cold"):
        turns.warm.result(PATIENCE)
    with pytest.raises(BusyError, match="about to end"):
        turns.ask({})
    turns.close()


def test_whatever_ends_a_job_the_next_one_begins() -> None:
    stage = Ironing()
    stage.failing = SystemExit("a library wants to end the process")
    turns = Turns(stage, 1)
    with pytest.raises(SystemExit):
        turns.ask({"request_id": "first"}).answer.result(PATIENCE)
    stage.failing = None
    stage.go.set()
    assert turns.ask({"request_id": "second"}).answer.result(PATIENCE).request_id == "second"
    turns.close()
