"""A stage behind HTTP in this process, on a port of its own, and those who ask it."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx

from shared_utils.contracts import Failure, Success
from shared_utils.stage import Stage
from shared_utils.transports.rest.app import Service
from shared_utils.transports.rest.serving import HttpServer
from shared_utils.transports.rest.settings import RestSettings
from tests.shared_utils.transports.rest.stand_in import SOON


@dataclass(frozen=True)
class Door:
    """How a stage is reached."""

    stage: Stage
    service: Service
    url: str
    port: int
    client: httpx.Client

    def post(self, fields: Mapping[str, Any]) -> httpx.Response:
        # Not httpx's own writer: it refuses NaN, and we want to see what is made of it.
        content = json.dumps(dict(fields))
        return self.client.post(f"/v1/{self.stage.verb}", content=content, headers={"Content-Type": "application/json"})

    def ask(self, fields: Mapping[str, Any]) -> Success | Failure:
        """The answer as the stage itself would give it."""
        content = self.post(fields).content
        if json.loads(content)["status"] == "error":
            return Failure.model_validate_json(content)
        kind: type[Success] = self.stage.response_type
        return kind.model_validate_json(content)

    def caller(self) -> "Caller":
        return Caller(self.port)


@contextmanager
def opened(stage: Stage, *, warm: bool = True, **settings: Any) -> Iterator[Door]:
    """Serve a stage; from when it is warm on, unless that is what is to be seen."""
    service = Service(stage, RestSettings(**settings))
    server = HttpServer(service.app, "127.0.0.1", 0)
    server.start()
    service.warm_up()
    try:
        if warm:
            service.turns.warm.result(SOON)
        with httpx.Client(base_url=server.url, timeout=SOON) as client:
            yield Door(stage, service, server.url, server.port, client)
    finally:
        server.stop_accepting()
        service.turns.close()
        server.stop()


class Caller:
    """A connection on which every byte is our own."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), SOON)
        self._read = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.leave()

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self._socket.sendall(part)

    def ask(self, path: str, fields: Mapping[str, Any]) -> None:
        body = json.dumps(dict(fields)).encode()
        self.send(head(path, content_length=len(body)), body)

    def leave(self) -> None:
        self._read.close()
        self._socket.close()

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer on this connection: status, headers in small letters, body."""
        status = int(self._read.readline().split()[1])
        headers = {}
        while line := self._read.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, self._read.read(int(headers["content-length"]))

    def ended(self) -> bool:
        """Wait until the other side closes, and say whether it said no more."""
        try:
            return self._read.read() == b""
        except ConnectionResetError:
            return True


def head(path: str, method: str = "POST", **headers: Any) -> bytes:
    """A request's head: content_length=5 becomes Content-Length: 5."""
    given = {"Host": "test", "Content-Type": "application/json"}
    given |= {name.replace("_", "-").title(): str(value) for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    return "\r\n".join(lines).encode()
