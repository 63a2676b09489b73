"""Bodies that are too long or too slow: cut off early, and whoever sent them gets to read why."""

from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared_utils.errors import VtryonError
from shared_utils.transports.rest.limits import Bounded
from shared_utils.transports.rest.serving import HttpServer
from tests.shared_utils.transports.rest.door import Caller, head

MOST = 100_000
CHUNK = b"2710\r\n" + b"x" * 10_000 + b"\r\n"


class App:
    """Tells how much of a body it got."""

    def __init__(self) -> None:
        self.read = 0
        self.routes = Starlette(
            routes=[
                Route("/", self.count, methods=["GET", "POST"]),
                Route("/hides", self.hide_what_fails, methods=["POST"]),
                Route("/first", self.answer_first, methods=["POST"]),
            ]
        )

    async def count(self, request: Request) -> Response:
        self.read = 0
        async for part in request.stream():
            self.read += len(part)
        return JSONResponse({"read": self.read})

    async def hide_what_fails(self, request: Request) -> Response:
        """As FastAPI does: whatever happens while a body is read is the client's fault."""
        try:
            return await self.count(request)
        except Exception:
            return JSONResponse({"code": "OTHER"}, 400)

    async def answer_first(self, request: Request) -> Response:
        return JSONResponse({"read": 0})


def refuse(error: VtryonError) -> Response:
    return JSONResponse({"code": error.code, "message": error.message}, 400)


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def call(app: App) -> Iterator[Callable[..., Caller]]:
    """Serves the app within limits, and connects to it."""
    servers, callers = [], []

    def connect(seconds: float = 60) -> Caller:
        servers.append(HttpServer(Bounded(app.routes, MOST, seconds, refuse), "127.0.0.1", 0))
        servers[-1].start()
        callers.append(Caller(servers[-1].port))
        return callers[-1]

    yield connect
    for caller in callers:
        caller.leave()
    for server in servers:
        server.stop()


def test_a_body_of_the_largest_size_is_read(call: Callable[..., Caller]) -> None:
    caller = call()
    caller.send(head("/", content_length=MOST), b"x" * MOST)
    status, headers, body = caller.answer()
    assert (status, body) == (200, b'{"read":100000}')
    assert "connection" not in headers
    caller.send(head("/", content_length=3), b"abc")
    assert caller.answer()[2] == b'{"read":3}'


def test_more_than_that_is_refused_by_its_announcement(app: App, call: Callable[..., Caller]) -> None:
    """Nothing of it is read: not one byte has to be sent."""
    caller = call()
    caller.send(head("/", content_length=MOST + 1))
    status, headers, body = caller.answer()
    assert status == 400
    assert b'"REQUEST_TOO_LARGE"' in body
    assert b"0.1 MB" in body
    assert headers["connection"] == "close"
    assert app.read == 0


@pytest.mark.parametrize("path", ["/", "/hides"])
def test_what_is_not_announced_is_cut_off(app: App, call: Callable[..., Caller], path: str) -> None:
    caller = call()
    caller.send(head(path, transfer_encoding="chunked"), *[CHUNK] * 11)
    status, headers, body = caller.answer()
    assert status == 400
    assert b'"REQUEST_TOO_LARGE"' in body
    assert headers["connection"] == "close"
    assert app.read <= MOST


def test_who_sends_everything_before_he_reads_gets_his_answer_too(call: Callable[..., Caller]) -> None:
    """More than any buffer between the two holds: a connection that is just closed would be reset."""
    caller = call()
    caller.send(head("/", content_length=20_000_000), b"x" * 20_000_000)
    assert b'"REQUEST_TOO_LARGE"' in caller.answer()[2]
    assert caller.ended()


def test_chunks_up_to_their_end(call: Callable[..., Caller]) -> None:
    caller = call()
    caller.send(head("/", transfer_encoding="chunked"), *[CHUNK] * 50, b"0\r\n\r\n")
    assert b'"REQUEST_TOO_LARGE"' in caller.answer()[2]
    assert caller.ended()


@pytest.mark.parametrize("path", ["/", "/hides"])
def test_a_body_that_takes_too_long_is_given_up(app: App, call: Callable[..., Caller], path: str) -> None:
    caller = call(seconds=0.05)
    caller.send(head(path, content_length=50), b"abc")
    status, headers, body = caller.answer()
    assert status == 400
    assert b'"REQUEST_TOO_SLOW"' in body
    assert headers["connection"] == "close"


def test_an_answer_that_comes_before_the_body_is_whole_ends_the_connection(call: Callable[..., Caller]) -> None:
    caller = call()
    caller.send(head("/first", content_length=50), b"abc")
    status, headers, _ = caller.answer()
    assert (status, headers["connection"]) == (200, "close")
    caller.send(b"x" * 47)
    assert caller.ended()


def test_without_a_body_there_is_nothing_to_bound(call: Callable[..., Caller]) -> None:
    caller = call(seconds=1e-9)
    for _ in range(2):
        caller.send(head("/", "GET"))
        assert caller.answer()[2] == b'{"read":0}'
