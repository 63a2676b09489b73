"""An HTTP server in a thread of its own, beside whatever else a process does."""

import socket
import threading
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from shared_utils.errors import first_line
from shared_utils.ports import CannotListenError
from shared_utils.transports.rest.heads import HeadBounded

BACKLOG = 1024
"""Connections that the system holds until they are taken."""


class HttpServer:
    """Serves an app. It leaves signals alone: whoever started it also stops it."""

    def __init__(self, app: ASGIApp, host: str, port: int, stop_seconds: int = 5) -> None:
        """Port 0 is any that is free. What is still being answered `stop_seconds` after the stop is cut off."""
        self._host = host
        self.port = port
        self._config = uvicorn.Config(
            app,
            http=HeadBounded,
            ws="none",
            log_config=None,
            access_log=False,
            # Nobody is believed who says that he speaks for another address.
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=stop_seconds,
        )

    @property
    def url(self) -> str:
        """Where it is, once it listens."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self.port}"

    def start(self) -> None:
        """Come back when it listens."""
        listening = self._listening()
        self.port = listening.getsockname()[1]
        self._server = _Server(self._config)
        # A daemon, so that a second Ctrl-C ends the process whatever is still being answered.
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name=f"http {self.port}", daemon=True
        )
        self._thread.start()
        self._server.began.wait()
        if not self._server.started:
            self._thread.join()
            listening.close()
            raise CannotListenError("The HTTP server did not start. The log has the reason.")

    def stop_accepting(self) -> None:
        """Take no more connections and let go of those that rest. What is being answered goes on."""
        self._server.should_exit = True

    def stop(self) -> None:
        """Come back when all is answered, or cut off."""
        self.stop_accepting()
        self._thread.join()

    def _listening(self) -> socket.socket:
        try:
            (family, *_, address), *_ = socket.getaddrinfo(
                self._host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            return socket.create_server(address[:2], family=family, backlog=BACKLOG)
        except OSError as denied:
            raise CannotListenError(
                f"Nobody can listen on {self._host}, port {self.port}: {denied.strerror or first_line(denied)}. "
                "Choose another address or port."
            ) from denied


class _Server(uvicorn.Server):
    """Says when it has begun, well or not."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.began = threading.Event()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            # How uvicorn ends when its app does not start; the log has the reason.
            with suppress(SystemExit):
                super().run(sockets)
        finally:
            self.began.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.began.set()
