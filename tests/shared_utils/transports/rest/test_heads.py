"""A head that never ends, by its length or by its slowness, ends the connection."""

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette

from shared_utils.transports.rest import heads
from shared_utils.transports.rest.serving import HttpServer
from tests.shared_utils.transports.rest.door import Caller, head


@pytest.fixture
def port() -> Iterator[int]:
    server = HttpServer(Starlette(), "127.0.0.1", 0)
    server.start()
    yield server.port
    server.stop()


@pytest.mark.parametrize("endless", [b"GET /" + b"x" * 400_000, b"GET / HTTP/1.1\r\nX: " + b"y" * 400_000])
def test_too_long(port: int, endless: bytes) -> None:
    with Caller(port) as caller:
        caller.send(endless[:70_000])
        assert caller.answer()[0] == 431


def test_as_long_as_is_usual(port: int) -> None:
    with Caller(port) as caller:
        caller.send(head("/", "GET", x="y" * 30_000))
        assert caller.answer()[0] == 404


@pytest.mark.parametrize("part", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_too_slow(port: int, monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    monkeypatch.setattr(heads, "SECONDS", 0.05)
    with Caller(port) as caller:
        caller.send(part)
        assert caller.ended()


def test_the_second_head_is_bounded_too(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with Caller(port) as caller:
        caller.send(head("/", "GET"))
        assert caller.answer()[0] == 404
        monkeypatch.setattr(heads, "SECONDS", 0.05)
        caller.send(b"GET / HT")
        assert caller.ended()
