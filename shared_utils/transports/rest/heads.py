"""How long the head of a request may be, and how long it may take. uvicorn bounds neither."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_BYTES = 64 * 1024
SECONDS = 30.0
TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class HeadBounded(HttpToolsProtocol):
    """Closes a connection that keeps a head back, or never comes to its end."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._due: asyncio.TimerHandle | None = None
        """Set while a head is awaited."""
        self._size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._have_head()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._due is None:
            return
        self._size += len(data)
        if self._size > MOST_BYTES and not self.transport.is_closing():
            self.transport.write(TOO_LONG)
            self.transport.close()

    def _await_head(self) -> None:
        self._have_head()
        self._size = 0
        self._due = self.loop.call_later(SECONDS, self.transport.close)

    def _have_head(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
