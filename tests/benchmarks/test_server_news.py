"""The websocket's frames, as a server may send them."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from server_news import News

ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"


def frame(kind: int, content: bytes) -> bytes:
    length = len(content)
    if length < 126:
        size = bytes([length])
    elif length < 1 << 16:
        size = bytes([126]) + length.to_bytes(2)
    else:
        size = bytes([127]) + length.to_bytes(8)
    return bytes([0x80 | kind]) + size + content


@contextmanager
def server(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Sends this to whoever comes, then listens until they go."""
    heard: list[bytes] = []

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(4096):
                heard.append(more)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1], heard
        thread.join()


def test_messages_of_every_length_and_what_is_passed_over() -> None:
    messages = [{"type": "status", "data": "x" * length} for length in (1, 300, 70_000)]
    frames = b"".join(frame(1, json.dumps(message).encode()) for message in messages)
    answer = ANSWER + frame(2, b"a picture") + frame(9, b"ping") + frames
    with server(answer) as (port, heard), News(port, "me", 10) as news:
        assert [news.next() for _ in messages] == messages
        with pytest.raises(ConnectionError, match="ended"):
            news.next()
    assert heard == [bytes([0x8A, 0x84, 0, 0, 0, 0]) + b"ping"]


def test_a_server_that_says_good_bye() -> None:
    with (
        server(ANSWER + frame(8, b"")) as (port, _),
        News(port, "me", 10) as news,
        pytest.raises(ConnectionError, match="closed"),
    ):
        news.next()


def test_no_websocket_there() -> None:
    with server(b"HTTP/1.1 404 Not Found\r\n\r\n") as (port, _), pytest.raises(ConnectionError, match="404"):
        News(port, "me", 10)
