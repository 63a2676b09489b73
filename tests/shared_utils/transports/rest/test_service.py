"""A stage behind HTTP: one job at a time, a bounded queue, and nobody works for a client that has gone."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared_utils.errors import OutOfMemoryError
from tests.shared_utils.transports.rest.door import Door, head, opened
from tests.shared_utils.transports.rest.stand_in import SOON, StandIn


@pytest.fixture
def stage() -> StandIn:
    return StandIn()


@pytest.fixture
def door(stage: StandIn) -> Iterator[Door]:
    with opened(stage) as door:
        yield door


def body_of(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def metric(door: Door, name: str) -> float:
    lines = door.client.get("/metrics").text.splitlines()
    return float(next((line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")), 0))


# ---- an answer, whatever is asked


def test_success(door: Door) -> None:
    answer = door.post({"text": "hello", "request_id": "r1", "correlation_id": "c1"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    expected = {"status": "success", "request_id": "r1", "correlation_id": "c1", "text": "hello"}
    assert expected.items() <= answer.json().items()


def test_ids_are_made_if_missing(door: Door) -> None:
    assert door.post({"text": "hello"}).json()["request_id"]


@pytest.mark.parametrize(
    ("fields", "culprit"),
    [
        ({}, "text is missing"),
        ({"text": "x", "nodes": 0}, "nodes=0"),
        ({"text": "x", "node": 1}, "Did you mean nodes?"),
        ({"text": "x", "strength": 10**400}, "strength="),
        ({"text": "\ud800"}, "text="),
        ({"text": ["x"]}, "text="),
    ],
    ids=str,
)
def test_invalid_request(door: Door, stage: StandIn, fields: dict[str, Any], culprit: str) -> None:
    answer = door.post({"request_id": "r1", "correlation_id": "c1", **fields})
    assert answer.status_code == 422
    failure = answer.json()
    assert (failure["status"], failure["error_code"], failure["retryable"]) == ("error", "INVALID_REQUEST", False)
    assert (failure["request_id"], failure["correlation_id"]) == ("r1", "c1")
    assert culprit in failure["error_message"]
    assert not stage.seen


@pytest.mark.parametrize(
    "body", [b"", b"[", b'{"text": NaN}', b'{"text": 1e999}', b'{"text": "x", "text": "y"}', b"\xff"]
)
def test_no_json(door: Door, body: bytes) -> None:
    answer = door.client.post("/v1/do", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error_code"]) == (422, "INVALID_REQUEST")
    assert answer.json()["request_id"]


@pytest.mark.parametrize("request_id", [["x"], {"a": 1}, 3, "x" * 1000, "\ud800", "a\nb"], ids=ascii)
def test_a_request_id_that_is_none_is_echoed_all_the_same(door: Door, request_id: Any) -> None:
    answer = door.post({"text": "x", "request_id": request_id})
    assert answer.json()["error_code"] == "INVALID_REQUEST"
    assert 0 < len(answer.json()["request_id"]) <= 128


def test_other_media_types(door: Door, stage: StandIn) -> None:
    for type_and_body in ({"data": {"text": "x"}}, {"files": {"text": b"x"}}, {"content": body_of(text="x")}):
        answer = door.client.post("/v1/do", **type_and_body)
        assert (answer.status_code, answer.json()["error_code"]) == (415, "MEDIA_TYPE_UNKNOWN")
    assert not stage.seen


@pytest.mark.parametrize("path", ["/", "/v1/encode", "/v1/do/", "/docs", "/v1//do"])
def test_other_paths(door: Door, path: str) -> None:
    answer = door.client.post(path, json={"text": "x"})
    assert (answer.status_code, answer.json()["error_code"]) == (404, "PATH_UNKNOWN")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods(door: Door, method: str) -> None:
    answer = door.client.request(method, "/v1/do")
    assert (answer.status_code, answer.json()["error_code"]) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "POST"


def test_a_defect_of_the_stage(door: Door, stage: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "run", lambda request: 1 / 0)
    answer = door.post({"text": "x"})
    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert "Traceback" not in answer.text


def test_a_defect_of_ours(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door.service.turns, "ask", lambda fields: 1 / 0)
    answer = door.post({"text": "x"})
    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert metric(door, 'vtryon_requests_total{outcome="INTERNAL_ERROR",stage="stand_in"}') == 1


def test_what_may_pass_says_when_to_try_again(door: Door, stage: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(request: Any) -> None:
        raise OutOfMemoryError("no room")

    monkeypatch.setattr(stage, "run", run)
    answer = door.post({"text": "x"})
    assert (answer.status_code, answer.json()["retryable"]) == (503, True)
    assert int(answer.headers["retry-after"]) >= 1


def test_too_large() -> None:
    with opened(StandIn(), rest_max_body_mb=0.001) as door, door.caller() as caller:
        caller.send(head("/v1/do", content_length=10**12))
        status, headers, body = caller.answer()
        assert (status, headers["connection"]) == (413, "close")
        assert json.loads(body)["error_code"] == "REQUEST_TOO_LARGE"
        assert metric(door, 'vtryon_requests_total{outcome="REQUEST_TOO_LARGE",stage="stand_in"}') == 1


def test_too_slow() -> None:
    with opened(StandIn(), rest_body_seconds=0.05) as door, door.caller() as caller:
        caller.send(head("/v1/do", content_length=10), b"{")
        status, _, body = caller.answer()
        assert (status, json.loads(body)["error_code"]) == (408, "REQUEST_TOO_SLOW")
        assert metric(door, 'vtryon_requests_total{outcome="REQUEST_TOO_SLOW",stage="stand_in"}') == 1


def test_a_client_that_goes_away_in_the_middle_of_its_request(door: Door, stage: StandIn) -> None:
    with door.caller() as caller:
        caller.send(head("/v1/do", content_length=100), b'{"text"')
    assert door.post({"text": "next"}).status_code == 200
    assert stage.seen == ["next"]


def test_one_connection_for_many_requests(door: Door) -> None:
    with door.caller() as caller:
        for text in ("one", "two"):
            caller.ask("/v1/do", {"text": text})
            assert json.loads(caller.answer()[2])["text"] == text


def test_requests_sent_ahead_are_answered_in_their_order(door: Door) -> None:
    bodies = [body_of(text=text) for text in ("one", "two", "three")]
    with door.caller() as caller:
        caller.send(b"".join(head("/v1/do", content_length=len(body)) + body for body in bodies))
        assert [json.loads(caller.answer()[2])["text"] for _ in bodies] == ["one", "two", "three"]


# ---- the queue


@pytest.fixture
def held() -> StandIn:
    return StandIn(held=True)


def test_one_at_a_time_and_no_more_than_the_queue_holds(held: StandIn) -> None:
    with opened(held, rest_queue=1) as door, ThreadPoolExecutor() as pool, door.caller() as second:
        first = pool.submit(door.post, {"text": "first"})
        assert held.begun.acquire(timeout=SOON)
        second.ask("/v1/do", {"text": "second"})
        wait_until_waiting(door, 1)
        third = door.post({"text": "third", "request_id": "r3"})
        assert (third.status_code, third.json()["error_code"], third.json()["retryable"]) == (503, "BUSY", True)
        assert third.json()["request_id"] == "r3"
        assert int(third.headers["retry-after"]) >= 1
        assert metric(door, 'vtryon_requests_waiting{stage="stand_in"}') == 1
        assert metric(door, 'vtryon_requests_in_progress{stage="stand_in"}') == 1
        assert held.seen == ["first"]
        held.steps.release(2)
        assert first.result(SOON).status_code == 200
        assert second.answer()[0] == 200
        assert held.seen == ["first", "second"]
        assert metric(door, 'vtryon_requests_total{outcome="BUSY",stage="stand_in"}') == 1


def wait_until_waiting(door: Door, number: int) -> None:
    """The queue has no event of its own; a look at it is quick."""
    while door.service.turns.waiting != number:
        door.client.get("/health/live")


def test_a_client_that_goes_away_leaves_the_queue(held: StandIn) -> None:
    with opened(held) as door, ThreadPoolExecutor() as pool:
        first = pool.submit(door.post, {"text": "first"})
        assert held.begun.acquire(timeout=SOON)
        with door.caller() as second:
            second.ask("/v1/do", {"text": "second"})
            wait_until_waiting(door, 1)
        wait_until_waiting(door, 0)
        held.steps.release()
        assert first.result(SOON).status_code == 200
    assert held.seen == ["first"]


def test_a_client_that_goes_away_stops_its_job(held: StandIn, given_up: threading.Event) -> None:
    """Between two nodes: the second never runs."""
    with opened(held) as door:
        with door.caller() as caller:
            caller.ask("/v1/do", {"text": "first", "nodes": 1000})
            assert held.begun.acquire(timeout=SOON)
        assert given_up.wait(SOON)
        held.steps.release()
        held.held = False
        assert door.post({"text": "second"}).status_code == 200
        assert metric(door, 'vtryon_requests_total{outcome="CANCELLED",stage="stand_in"}') == 1
    assert held.begun.acquire(blocking=False), "the second request's node"
    assert not held.begun.acquire(blocking=False), "the first went on"


def test_the_end_refuses_those_that_wait(held: StandIn) -> None:
    with opened(held) as door, ThreadPoolExecutor() as pool, door.caller() as second:
        first = pool.submit(door.post, {"text": "first"})
        assert held.begun.acquire(timeout=SOON)
        second.ask("/v1/do", {"text": "second"})
        wait_until_waiting(door, 1)
        closing = threading.Thread(target=door.service.turns.close, args=(SOON,))
        closing.start()
        status, headers, body = second.answer()
        assert (status, json.loads(body)["error_code"]) == (503, "BUSY")
        assert int(headers["retry-after"]) >= 1
        held.steps.release()
        assert first.result(SOON).status_code == 200
        closing.join()


# ---- how the process is


def test_live_before_it_is_warm_and_ready_only_then() -> None:
    cold = StandIn(cold=True)
    with opened(cold, warm=False) as door, ThreadPoolExecutor() as pool:
        assert door.client.get("/health/live").json() == {"status": "live"}
        not_ready = door.client.get("/health/ready")
        assert (not_ready.status_code, not_ready.json()) == (503, {"status": "not ready"})
        assert int(not_ready.headers["retry-after"]) >= 1
        early = pool.submit(door.post, {"text": "early"})
        wait_until_waiting(door, 1)
        cold.may_warm_up.set()
        assert early.result(SOON).status_code == 200
        assert (door.client.get("/health/ready").status_code, door.client.get("/health/ready").json()) == (
            200,
            {"status": "ready"},
        )


def test_a_stage_that_does_not_warm_up_is_never_ready() -> None:
    cold = StandIn(cold=True)
    cold.warming_up_fails = OutOfMemoryError("no room")
    with opened(cold, warm=False) as door, ThreadPoolExecutor() as pool:
        early = pool.submit(door.post, {"text": "early"})
        wait_until_waiting(door, 1)
        cold.may_warm_up.set()
        assert early.result(SOON).status_code == 503
        assert door.client.get("/health/ready").status_code == 503


def test_metrics(door: Door) -> None:
    door.post({"text": "x"})
    door.post({})
    answer = door.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert metric(door, 'vtryon_requests_total{outcome="success",stage="stand_in"}') == 1
    assert metric(door, 'vtryon_requests_total{outcome="INVALID_REQUEST",stage="stand_in"}') == 1
    assert metric(door, 'vtryon_request_seconds_count{outcome="success",stage="stand_in"}') == 1
    assert metric(door, 'vtryon_request_seconds_sum{outcome="success",stage="stand_in"}') > 0
    assert metric(door, 'vtryon_requests_waiting{stage="stand_in"}') == 0
    assert metric(door, 'vtryon_requests_in_progress{stage="stand_in"}') == 0
    assert metric(door, "vtryon_models_bytes") == 0
    assert metric(door, "process_resident_memory_bytes") > 1e6


def test_two_services_in_one_process_count_for_themselves(door: Door) -> None:
    with opened(StandIn()) as other:
        other.post({"text": "x"})
        assert metric(other, 'vtryon_requests_total{outcome="success",stage="stand_in"}') == 1
    assert metric(door, 'vtryon_requests_total{outcome="success",stage="stand_in"}') == 0
