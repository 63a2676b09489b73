"""The HTTP server itself: it listens when it says so, beside other threads, and ends in good order."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from shared_utils.ports import CannotListenError
from shared_utils.transports.rest.serving import HttpServer
from tests.shared_utils.transports.rest.door import Caller, head
from tests.shared_utils.transports.rest.stand_in import SOON


class Held:
    """An app that answers when it may."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.app = Starlette(routes=[Route("/", self.answer)])

    async def answer(self, request: Request) -> Response:
        self.asked.set()
        await asyncio.to_thread(self.may_answer.wait, SOON)
        return PlainTextResponse("done")


def test_two_in_one_process() -> None:
    servers = [HttpServer(Starlette(), "127.0.0.1", 0) for _ in range(2)]
    for server in servers:
        server.start()
    assert servers[0].port != servers[1].port
    for server in servers:
        with Caller(server.port) as caller:
            caller.send(head("/", "GET"))
            assert caller.answer()[0] == 404
        server.stop()
    with pytest.raises(ConnectionRefusedError):
        Caller(servers[0].port)


def test_a_port_that_is_taken() -> None:
    first = HttpServer(Starlette(), "127.0.0.1", 0)
    first.start()
    with pytest.raises(CannotListenError, match=f"port {first.port}: .*in use"):
        HttpServer(Starlette(), "127.0.0.1", first.port).start()
    first.stop()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours(host: str) -> None:
    with pytest.raises(CannotListenError, match=host):
        HttpServer(Starlette(), host, 0).start()


def test_an_app_that_does_not_start() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise RuntimeError("no")
        yield

    with pytest.raises(CannotListenError, match="did not start"):
        HttpServer(Starlette(lifespan=lifespan), "127.0.0.1", 0).start()


def test_what_is_being_answered_goes_on_after_the_stop() -> None:
    held = Held()
    server = HttpServer(held.app, "127.0.0.1", 0, stop_seconds=60)
    server.start()
    with Caller(server.port) as caller, Caller(server.port) as resting:
        caller.send(head("/", "GET"))
        assert held.asked.wait(SOON)
        server.stop_accepting()
        assert resting.ended()
        held.may_answer.set()
        status, headers, body = caller.answer()
        assert (status, body) == (200, b"done")
        assert headers["connection"] == "close"
        server.stop()


def test_what_takes_too_long_is_cut_off() -> None:
    held = Held()
    server = HttpServer(held.app, "127.0.0.1", 0, stop_seconds=0)
    server.start()
    with Caller(server.port) as caller:
        caller.send(head("/", "GET"))
        assert held.asked.wait(SOON)
        server.stop_accepting()
        assert caller.answer()[0] == 500
        held.may_answer.set()
        server.stop()
