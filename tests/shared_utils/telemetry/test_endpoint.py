"""The little HTTP of processes that have no other: three pages, and nobody can hold it up."""

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from shared_utils.ports import LOOPBACK, CannotListenError
from shared_utils.settings import Settings
from shared_utils.telemetry import endpoint as module
from shared_utils.telemetry.endpoint import MOST_CALLERS, MOST_HEAD_BYTES, Endpoint, reachable
from shared_utils.telemetry.health import Health, Part

SOON = 30.0


@pytest.fixture
def part() -> Part:
    return Part("sampling")


@pytest.fixture
def health(part: Part) -> Health:
    made = Health()
    made._parts.append(part)
    return made


@pytest.fixture
def endpoint(health: Health) -> Iterator[Endpoint]:
    made = Endpoint(LOOPBACK, 0, health, lambda: b"vtryon_ready 0.0\n")
    yield made
    made.close()


def get(endpoint: Endpoint, path: str, method: str = "GET") -> httpx.Response:
    return httpx.request(method, f"http://{LOOPBACK}:{endpoint.port}{path}", timeout=SOON)


def connected(endpoint: Endpoint) -> socket.socket:
    return socket.create_connection((LOOPBACK, endpoint.port), timeout=SOON)


def test_its_pages(endpoint: Endpoint, part: Part) -> None:
    assert get(endpoint, "/health/live").json() == {"status": "live"}
    cold = get(endpoint, "/health/ready")
    assert (cold.status_code, cold.json()) == (503, {"status": "not ready", "reasons": ["sampling: not ready yet"]})
    part.ready = True
    assert get(endpoint, "/health/ready?verbose=1").json() == {"status": "ready"}
    shown = get(endpoint, "/metrics")
    assert shown.headers["content-type"].startswith("text/plain")
    assert shown.text == "vtryon_ready 0.0\n"


def test_dead_is_said_with_the_reason(endpoint: Endpoint, part: Part) -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    part.runs_in(thread)
    answer = get(endpoint, "/health/live")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["sampling: its thread has ended"])


def test_head_has_no_body(endpoint: Endpoint) -> None:
    answer = get(endpoint, "/metrics", "HEAD")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "17")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(endpoint: Endpoint, method: str) -> None:
    answer = get(endpoint, "/metrics", method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/health", "/%2e%2e/etc/passwd", "/" + "x" * 4000])
def test_nothing_else_is_there(endpoint: Endpoint, path: str) -> None:
    assert get(endpoint, path).status_code == 404


@pytest.mark.parametrize("sent", [b"\r\n\r\n", b"GET\r\n\r\n", b"\x00\xff\x80 \x01 \x02\r\n\r\n"])
def test_what_is_no_http_is_answered_too(endpoint: Endpoint, sent: bytes) -> None:
    with connected(endpoint) as caller:
        caller.sendall(sent)
        assert caller.recv(100).startswith(b"HTTP/1.1 404 ")


def test_a_head_without_end_is_hung_up_on(endpoint: Endpoint) -> None:
    with connected(endpoint) as caller:
        caller.sendall(b"GET /metrics HTTP/1.1\r\nx: " + b"y" * (2 * MOST_HEAD_BYTES))
        assert _hung_up(caller)
    assert get(endpoint, "/metrics").status_code == 200


def test_who_is_slow_is_hung_up_on(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALL_SECONDS", 0.2)
    with connected(endpoint) as caller:
        caller.sendall(b"GET /met")
        assert _hung_up(caller)


def test_many_who_say_nothing_hold_up_nobody_for_long(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    callers = [connected(endpoint) for _ in range(MOST_CALLERS)]
    try:
        with connected(endpoint) as one_more:
            assert _hung_up(one_more)
    finally:
        for each in callers:
            each.close()
    # Their places are free again as soon as their threads have seen that they left.
    with httpx.Client(transport=httpx.HTTPTransport(retries=0), timeout=SOON) as client:
        while True:
            try:
                assert client.get(f"http://{LOOPBACK}:{endpoint.port}/health/live").status_code == 200
            except httpx.TransportError:
                continue
            break


def test_a_taken_port_is_said_plainly(endpoint: Endpoint, health: Health) -> None:
    with pytest.raises(CannotListenError, match="HEALTH_PORT"):
        Endpoint(LOOPBACK, endpoint.port, health, bytes)


def test_without_a_port_nobody_listens(health: Health) -> None:
    with reachable(Settings(), health, bytes) as nobody:
        assert nobody is None


def test_any_free_port(health: Health, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "vtryon"), reachable(Settings(health_port=0), health, bytes) as found:
        assert found is not None
        assert f"http://127.0.0.1:{found.port}" in caplog.text
        assert get(found, "/health/live").status_code == 200


def _hung_up(caller: socket.socket) -> bool:
    try:
        return caller.recv(1) == b""
    except ConnectionResetError:
        return True
