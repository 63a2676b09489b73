"""What ComfyUI's server tells over its websocket, read with as little as it takes: asking it again and again instead
would take the processor's time from what is measured.
"""

import base64
import json
import os
import socket
from typing import Any, Self

from shared_utils.ports import LOOPBACK

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
HANDSHAKE = (
    "GET /ws?clientId={client} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class News:
    """One listener; the server sends it what concerns its own prompts."""

    def __init__(self, port: int, client: str, seconds: float) -> None:
        self._socket = socket.create_connection((LOOPBACK, port), timeout=seconds)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(HANDSHAKE.format(client=client, host=f"{LOOPBACK}:{port}", key=key).encode())
        self._stream = self._socket.makefile("rb")
        status = self._stream.readline()
        if b" 101 " not in status:
            self.close()
            raise ConnectionError(f"the server did not open a websocket: {status.decode(errors='replace').strip()}")
        while self._stream.readline().strip():
            pass

    def next(self) -> dict[str, Any]:
        """The next message in JSON; pictures and the like are passed over."""
        while True:
            kind, content = self._frame()
            if kind == TEXT:
                message: dict[str, Any] = json.loads(content)
                return message
            if kind == PING:
                self._socket.sendall(_masked(PONG, content))
            if kind == CLOSE:
                raise ConnectionError("the server closed its websocket")

    def _frame(self) -> tuple[int, bytes]:
        first, length = self._read(2)
        if length == 126:
            length = int.from_bytes(self._read(2))
        elif length == 127:
            length = int.from_bytes(self._read(8))
        return first & 0x0F, self._read(length)  # a server does not mask, and this one does not split

    def _read(self, count: int) -> bytes:
        content = self._stream.read(count)
        if len(content) < count:
            raise ConnectionError("the server ended")
        return content

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _masked(kind: int, content: bytes) -> bytes:
    """A client has to mask; with zeros it may, and nothing changes."""
    return bytes([0x80 | kind, 0x80 | len(content), 0, 0, 0, 0]) + content
