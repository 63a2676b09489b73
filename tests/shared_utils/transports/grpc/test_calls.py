"""One job at a time, a bounded queue, and what nobody waits for any more is stopped, or never starts."""

import queue
from typing import Any

import grpc
import pytest

from sampling.models import SamplingRequest, SamplingResponse
from shared_utils.comfy import progress
from shared_utils.errors import VtryonError
from shared_utils.transports.grpc.client import StageClient
from tests.bad_input.conftest import Good
from tests.conftest import Stages
from tests.kafka.support import until
from tests.shared_utils.transports.grpc.doors import PATIENCE, Caller, HeldSampler, of, refused, served


def test_past_the_queue_a_call_is_refused_at_once() -> None:
    stage = HeldSampler()
    ended: queue.Queue[Any] = queue.Queue()
    with served(stage, grpc_queue=1) as server, Caller(server.port) as caller:
        first = caller.begin(request_id="first")
        assert stage.begun.get(timeout=PATIENCE) == "first"
        others = [caller.begin(request_id=name) for name in ("second", "third")]
        for other in others:
            other.add_done_callback(ended.put)
        refusal = of(ended.get(timeout=PATIENCE))
        assert (refusal.status, refusal.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "BUSY")
        assert (refusal.retryable, refusal.retry_after) == ("true", 1)
        stage.go.set()
        assert first.result(PATIENCE)
        assert ended.get(timeout=PATIENCE).result()


def test_a_cancelled_call_stops_the_stage_and_the_next_begins() -> None:
    stage = HeldSampler()
    with served(stage) as server, Caller(server.port) as caller:
        first = caller.begin(request_id="first")
        assert stage.begun.get(timeout=PATIENCE) == "first"
        second = caller.begin(request_id="second")
        first.cancel()
        assert stage.ended.get(timeout=PATIENCE) == "CANCELLED"
        assert stage.begun.get(timeout=PATIENCE) == "second"
        stage.go.set()
        assert second.result(PATIENCE)


def test_a_deadline_stops_the_stage() -> None:
    stage = HeldSampler()
    with served(stage) as server, Caller(server.port) as caller:
        assert refused(caller.begin(timeout=0.5).result).status == grpc.StatusCode.DEADLINE_EXCEEDED
        assert stage.ended.get(timeout=PATIENCE) == "CANCELLED"


@pytest.mark.parametrize("end", ["deadline", "cancel"])
def test_what_is_given_up_while_it_waits_never_starts(end: str) -> None:
    stage = HeldSampler()
    with served(stage) as server, Caller(server.port) as caller:
        first = caller.begin(request_id="first")
        assert stage.begun.get(timeout=PATIENCE) == "first"
        waiting = caller.begin(request_id="waiting", timeout=0.5 if end == "deadline" else None)
        if end == "cancel":
            until(lambda: server.turns.waiting == 1, "it waits")
            waiting.cancel()
            until(lambda: server.turns.waiting == 0, "the server has heard that nobody waits for it")
        else:
            assert refused(waiting.result).status == grpc.StatusCode.DEADLINE_EXCEEDED
        last = caller.begin(request_id="last")
        stage.go.set()
        assert first.result(PATIENCE)
        assert last.result(PATIENCE)
        assert stage.begun.get(timeout=PATIENCE) == "last"


def test_its_place_is_free_again() -> None:
    stage = HeldSampler()
    with served(stage, grpc_queue=1) as server, Caller(server.port) as caller:
        first = caller.begin(request_id="first")
        assert stage.begun.get(timeout=PATIENCE) == "first"
        assert refused(caller.begin(timeout=0.5).result).status == grpc.StatusCode.DEADLINE_EXCEEDED
        # Only the server knows when it has heard of that.
        while refused(caller.begin(timeout=0.5).result).code == "BUSY":
            pass
        first.cancel()


class Watched:
    """The real sampler, and eyes on its steps."""

    name, verb, request_type, response_type = "sampling", "sample", SamplingRequest, SamplingResponse

    def __init__(self, stage: Any) -> None:
        self.options, self.models = stage.options, stage.models
        self.steps: queue.Queue[progress.Step] = queue.Queue()
        self.ended: queue.Queue[str] = queue.Queue()
        self._stage = stage

    def warm_up(self) -> None:
        self._stage.warm_up()

    def run(self, request: SamplingRequest) -> SamplingResponse:
        outer = progress._watcher.get()

        def watch(step: progress.Step) -> None:
            self.steps.put(step)
            outer(step)

        try:
            with progress.watched_by(watch):
                response: SamplingResponse = self._stage.run(request)
        except VtryonError as stopped:
            self.ended.put(stopped.code)
            raise
        return response


def test_the_sampler_is_stopped_between_its_steps(stages: Stages, good: Good) -> None:
    stage = Watched(stages.sampling)
    with served(stage) as server, Caller(server.port) as caller:
        server.turns.warm.result(PATIENCE)
        call = caller.begin(**{**good.request("sampling"), "steps": 10_000})
        while stage.steps.get(timeout=PATIENCE).done == 0:
            pass
        call.cancel()
        assert stage.ended.get(timeout=PATIENCE) == "CANCELLED"
        *_, last = list(stage.steps.queue)
        assert 0 < last.done < last.total


def test_the_client_gives_up_after_its_timeout() -> None:
    stage = HeldSampler()
    with (
        served(stage) as server,
        StageClient(f"127.0.0.1:{server.port}", SamplingRequest, SamplingResponse) as client,
    ):
        request = SamplingRequest(positive_encoding="positive.pt", latent_image="latent.pt", correlation_id="try-on")
        answer = client.run(request, timeout=0.5)
        assert answer.model_dump(include={"error_code", "retryable", "request_id", "correlation_id"}) == {
            "error_code": "DEADLINE_EXCEEDED",
            "retryable": False,
            "request_id": request.request_id,
            "correlation_id": "try-on",
        }
        assert stage.ended.get(timeout=PATIENCE) == "CANCELLED"
