"""How a process with a stage behind HTTP begins and ends."""

import logging
import queue
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from shared_utils import turns
from shared_utils.errors import InternalError, VAEModelNotFoundError, VtryonError
from shared_utils.ports import CannotListenError
from shared_utils.transports.rest.host import serve_stage
from shared_utils.transports.rest.settings import RestSettings
from tests.shared_utils.transports.rest.door import Caller
from tests.shared_utils.transports.rest.stand_in import SOON, StandIn


class Ear(logging.Handler):
    """Waits for what the log says."""

    def __init__(self) -> None:
        super().__init__()
        self._said: queue.Queue[str] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._said.put(record.getMessage())

    def wait_for(self, pattern: str) -> str:
        while True:
            if found := re.search(pattern, self._said.get(timeout=SOON)):
                return found[0]


@dataclass(frozen=True)
class Process:
    """What a process would do, in a thread."""

    ear: Ear
    stopping: threading.Event
    ended: Future[None]
    port: int


@pytest.fixture
def ear() -> Iterator[Ear]:
    log, heard = logging.getLogger("vtryon.rest"), Ear()
    level = log.level
    log.addHandler(heard)
    log.setLevel(logging.INFO)
    yield heard
    log.removeHandler(heard)
    log.setLevel(level)


@pytest.fixture
def begin(ear: Ear) -> Iterator[Callable[..., Process]]:
    with ThreadPoolExecutor() as pool:
        begun: list[threading.Event] = []

        def begin(stage: StandIn, **settings: Any) -> Process:
            begun.append(threading.Event())
            ended = pool.submit(serve_stage, stage, RestSettings(rest_port=0, **settings), begun[-1])
            port = int(ear.wait_for(r"listens on http://127\.0\.0\.1:\d+").rpartition(":")[2])
            return Process(ear, begun[-1], ended, port)

        yield begin
        for stopping in begun:
            stopping.set()


def test_live_then_ready_then_gone(begin: Callable[..., Process]) -> None:
    stage = StandIn(cold=True)
    process = begin(stage)
    base = f"http://127.0.0.1:{process.port}"
    assert httpx.get(f"{base}/health/live").status_code == 200
    assert httpx.get(f"{base}/health/ready").status_code == 503
    stage.may_warm_up.set()
    process.ear.wait_for("stand_in is ready")
    assert httpx.get(f"{base}/health/ready").status_code == 200
    process.stopping.set()
    process.ended.result(SOON)
    with pytest.raises(ConnectionRefusedError):
        Caller(process.port)


def test_the_job_in_hand_is_finished_first(begin: Callable[..., Process]) -> None:
    stage = StandIn(held=True)
    process = begin(stage, rest_drain_seconds=SOON)
    with Caller(process.port) as caller, Caller(process.port) as resting:
        caller.ask("/v1/do", {"text": "last"})
        assert stage.begun.acquire(timeout=SOON)
        process.stopping.set()
        assert resting.ended()
        assert not process.ended.done()
        stage.steps.release()
        assert caller.answer()[0] == 200
    process.ended.result(SOON)


def test_a_job_that_takes_too_long_is_cancelled(begin: Callable[..., Process], given_up: threading.Event) -> None:
    stage = StandIn(held=True)
    process = begin(stage, rest_drain_seconds=0)
    with Caller(process.port) as caller:
        caller.ask("/v1/do", {"text": "last", "nodes": 2})
        assert stage.begun.acquire(timeout=SOON)
        process.stopping.set()
        assert given_up.wait(SOON)
        stage.steps.release()
        status, _, body = caller.answer()
        assert (status, b'"CANCELLED"' in body) == (409, True)
    process.ended.result(SOON)


def test_the_end_does_not_wait_for_the_warming_up(
    begin: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LAST_SECONDS", 0)
    stage = StandIn(cold=True)
    process = begin(stage)
    process.stopping.set()
    process.ended.result(SOON)
    stage.may_warm_up.set()


@pytest.mark.parametrize(
    ("failure", "raised"),
    [(VAEModelNotFoundError("No VAE"), VAEModelNotFoundError), (ValueError("why"), InternalError)],
)
def test_a_stage_that_does_not_warm_up_ends_it(
    begin: Callable[..., Process], failure: Exception, raised: type[VtryonError]
) -> None:
    stage = StandIn(cold=True)
    stage.warming_up_fails = failure
    process = begin(stage)
    stage.may_warm_up.set()
    with pytest.raises(raised, match=str(failure)):
        process.ended.result(SOON)


def test_a_port_that_is_taken(begin: Callable[..., Process]) -> None:
    port = begin(StandIn()).port
    cold = StandIn()
    cold.warming_up_fails = AssertionError("it loads what it will never need")
    with pytest.raises(CannotListenError, match=f"port {port}"):
        serve_stage(cold, RestSettings(rest_port=port), threading.Event())
