"""A little HTTP beside processes that have none: /health/live, /health/ready and /metrics, for machines.

It answers a few callers at once, each with one short answer, and hangs up; who is slow is not waited for.
"""

import json
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from shared_utils.errors import first_line
from shared_utils.ports import CannotListenError
from shared_utils.settings import Settings
from shared_utils.telemetry.health import Health
from shared_utils.telemetry.metrics import TEXT

log = logging.getLogger("vtryon.health")

MOST_CALLERS = 16
MOST_HEAD_BYTES = 8192
CALL_SECONDS = 5.0
"""A call must have arrived by then, and its answer must have left in as long again."""
JSON = "application/json"

Answer = tuple[HTTPStatus, str, bytes]
"""Status, content type, body."""


class Endpoint:
    """Listens in threads of its own from the start until closed."""

    def __init__(self, host: str, port: int, health: Health, metrics: Callable[[], bytes]) -> None:
        """Port 0 is any that is free; `port` says which. Raises CannotListenError."""
        self._pages: dict[str, Callable[[], Answer]] = {
            "/health/live": lambda: _shown("live", health.not_live()),
            "/health/ready": lambda: _shown("ready", health.not_ready()),
            "/metrics": lambda: (HTTPStatus.OK, TEXT, metrics()),
        }
        try:
            self._server = _Server(host, port, self._pages)
        except OSError as denied:
            raise CannotListenError(
                f"Nobody can listen on {host}, port {port} (HEALTH_HOST, HEALTH_PORT): "
                f"{denied.strerror or first_line(denied)}. Choose another address or port."
            ) from denied
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="health", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def reachable(settings: Settings, health: Health, metrics: Callable[[], bytes]) -> Iterator[Endpoint | None]:
    """Answers inside, if HEALTH_PORT is set."""
    if settings.health_port is None:
        yield None
        return
    endpoint = Endpoint(settings.health_host, settings.health_port, health, metrics)
    log.info("health and metrics are on http://%s:%d", settings.health_host, endpoint.port)
    try:
        yield endpoint
    finally:
        endpoint.close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, pages: dict[str, Callable[[], Answer]]) -> None:
        (self.address_family, *_, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        self.pages = pages
        self.places = threading.BoundedSemaphore(MOST_CALLERS)
        super().__init__((str(address[0]), int(address[1])), _Call)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if self.places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        log.debug("a call was not answered", exc_info=True)


class _Call(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        head = self._head()
        if head is None:
            return
        method, path = head
        status, kind, body = self._answer(method, path)
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            *(["Allow: GET, HEAD"] if status is HTTPStatus.METHOD_NOT_ALLOWED else []),
            "Connection: close",
        )
        self.request.settimeout(CALL_SECONDS)
        self.request.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if method == "HEAD" else body))

    def _answer(self, method: str, path: str) -> Answer:
        page = self.server.pages.get(path)
        if page is None:
            return _told(HTTPStatus.NOT_FOUND, "Here are /health/live, /health/ready and /metrics.")
        if method not in ("GET", "HEAD"):
            return _told(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are answered.")
        return page()

    def _head(self) -> tuple[str, str] | None:
        """Method and path; nothing of somebody who does not send a whole head in time."""
        until, head = time.monotonic() + CALL_SECONDS, b""
        while b"\r\n\r\n" not in head:
            left = until - time.monotonic()
            if left <= 0 or len(head) > MOST_HEAD_BYTES:
                return None
            self.request.settimeout(left)
            try:
                more = self.request.recv(MOST_HEAD_BYTES)
            except OSError:
                return None
            if not more:
                return None
            head += more
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        return (words[0], words[1].partition("?")[0]) if len(words) == 3 else ("", "")


def _shown(name: str, wrong: list[str]) -> Answer:
    """As REST and the gateway say it, with the reasons besides."""
    if not wrong:
        return HTTPStatus.OK, JSON, json.dumps({"status": name}).encode()
    return HTTPStatus.SERVICE_UNAVAILABLE, JSON, json.dumps({"status": f"not {name}", "reasons": wrong}).encode()


def _told(status: HTTPStatus, message: str) -> Answer:
    return status, JSON, json.dumps({"error_message": message}).encode()
