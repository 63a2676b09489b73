"""A mirror of Hugging Face on this machine that behaves as badly as a test tells it to.

A real HTTP server. It serves what it has as a good one does, with ranges and ETags; what stands in its script comes
first, one entry for each request of that file.
"""

import re
import socket
import ssl
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

from shared_utils.downloads.files import ModelFile

PATIENCE = 300.0
HOST = "127.0.0.1"
MB = 1024 * 1024


@dataclass(frozen=True)
class Asked:
    """A request that has come."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


@dataclass(frozen=True)
class Served:
    content: bytes
    etag: str | None

    @property
    def named(self) -> dict[str, str]:
        """As Hugging Face says it of files in Git LFS."""
        return {"X-Linked-Size": str(len(self.content)), "X-Linked-ETag": f'"{sha256(self.content).hexdigest()}"'}


Behaviour = Callable[["Turn"], None]


@dataclass(frozen=True)
class Turn:
    """One request, to be answered."""

    handler: BaseHTTPRequestHandler
    served: Served
    mirror: "Mirror"

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.flush()

    def body(self, content: bytes) -> None:
        if self.handler.command != "HEAD":
            self.handler.wfile.write(content)
            self.handler.wfile.flush()

    @property
    def etag(self) -> dict[str, str]:
        return {"ETag": self.served.etag} if self.served.etag else {}

    def asked(self) -> int:
        """From which byte on, if that may be given: If-Range names the version that the client has a part of."""
        found = re.fullmatch(r"bytes=(\d+)-", self.handler.headers.get("Range", ""))
        version = self.handler.headers.get("If-Range")
        return int(found[1]) if found and version in {None, self.served.etag} else 0

    def cut(self) -> None:
        """Have the connection break, and not end in good order."""
        self.handler.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def good(turn: Turn) -> None:
    """All of it, or what was asked for."""
    content, first = turn.served.content, turn.asked()
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(content) - first), **turn.etag}
    if first:
        headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
    turn.head(206 if first else 200, headers)
    turn.body(content[first:])


def cut_after(count: int) -> Behaviour:
    """So many bytes of what was promised."""

    def cut(turn: Turn) -> None:
        content, first = turn.served.content, turn.asked()
        headers = {"Content-Length": str(len(content) - first), **turn.etag}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        turn.head(206 if first else 200, headers)
        turn.body(content[first : first + count])
        # In good order, so that the bytes arrive: the client must see by itself that some are missing.
        turn.handler.close_connection = True

    return cut


def reset(turn: Turn) -> None:
    """Not even an answer."""
    turn.cut()


def then(behaviour: Behaviour, change: Callable[[], None]) -> Behaviour:
    """And after it, something has changed."""

    def both(turn: Turn) -> None:
        behaviour(turn)
        change()

    return both


def no_ranges(turn: Turn) -> None:
    """All of it, whatever was asked for."""
    turn.head(200, {"Content-Length": str(len(turn.served.content)), **turn.etag})
    turn.body(turn.served.content)


def length(promised: int | None, content: Callable[[bytes], bytes] = lambda whole: whole) -> Behaviour:
    """Says that it is so long, whatever it is; None: does not say."""

    def lie(turn: Turn) -> None:
        turn.handler.close_connection = True
        turn.head(200, {"Connection": "close"} | ({} if promised is None else {"Content-Length": str(promised)}))
        turn.body(content(turn.served.content))

    return lie


def part(first: int, last: int, whole: str) -> Behaviour:
    """Answers 206 with that part, whatever was asked for."""

    def wrong(turn: Turn) -> None:
        content = turn.served.content[first : last + 1]
        headers = {"Content-Length": str(len(content)), "Content-Range": f"bytes {first}-{last}/{whole}"}
        turn.head(206, headers | turn.etag)
        turn.body(content)

    return wrong


def status(code: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Behaviour:
    def answer(turn: Turn) -> None:
        turn.head(code, {"Content-Length": str(len(body)), **(headers or {})})
        turn.body(body)

    return answer


def redirect(location: str, code: int = 302, *, named: bool = False) -> Behaviour:
    def answer(turn: Turn) -> None:
        turn.head(code, {"Location": location, "Content-Length": "0"} | (turn.served.named if named else {}))

    return answer


def stall_after(count: int) -> Behaviour:
    """So many bytes, then nothing until the test lets it go."""

    def stall(turn: Turn) -> None:
        content, first = turn.served.content, turn.asked()
        headers = {"Content-Length": str(len(content) - first), **turn.etag}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        turn.head(206 if first else 200, headers)
        turn.body(content[first : first + count])
        turn.mirror.stalled.set()
        assert turn.mirror.released.wait(PATIENCE)
        turn.body(content[first + count :])

    return stall


def silent(turn: Turn) -> None:
    """Not a byte until the test lets it go."""
    turn.mirror.stalled.set()
    assert turn.mirror.released.wait(PATIENCE)
    turn.handler.close_connection = True


def dripping(turn: Turn) -> None:
    """A byte now and then: never silent, never done."""
    turn.head(200, {"Content-Length": str(len(turn.served.content)), **turn.etag})
    for byte in turn.served.content:
        turn.body(bytes([byte]))
        if turn.mirror.released.wait(0.02):
            return


@dataclass
class Mirror:
    """Where it listens, what it has, and what has been asked."""

    port: int = 0
    scheme: str = "http"
    served: dict[str, Served] = field(default_factory=dict)
    script: defaultdict[str, deque[Behaviour]] = field(default_factory=lambda: defaultdict(deque))
    asked: list[Asked] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "", host: str = HOST) -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def has(self, name: str, size: int = 3 * MB, folder: str = "vae", seed: int = 1) -> ModelFile:
        """A file of random bytes, as the workflow's list would name it."""
        content = Random(f"{name} {seed}").randbytes(size)
        file = ModelFile(folder, name, "shop/models", f"split/{name}", size, sha256(content).hexdigest(), "Apache-2.0")
        self.put(file, content)
        return file

    def put(self, file: ModelFile, content: bytes, etag: str | None = '"first"') -> None:
        self.served[self.path(file)] = Served(content, etag)

    def content(self, file: ModelFile) -> bytes:
        return self.served[self.path(file)].content

    def will(self, file: ModelFile, *behaviours: Behaviour) -> None:
        """Answer the next requests for it like that."""
        self.script[self.path(file)].extend(behaviours)

    def ranges(self, file: ModelFile) -> list[str | None]:
        return [asked.range for asked in self.asked if asked.path == self.path(file)]

    @staticmethod
    def path(file: ModelFile) -> str:
        return f"/{file.place}"


@contextmanager
def mirroring(certificate: Path | None = None) -> Iterator[Mirror]:
    """One that listens on this machine; over TLS, if it has a certificate."""
    mirror = Mirror(scheme="https" if certificate else "http")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            mirror.asked.append(
                Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
            )
            served = mirror.served.get(self.path)
            script = mirror.script[self.path]
            behaviour = script.popleft() if script else good if served else status(404)
            try:
                behaviour(Turn(self, served or Served(b"", None), mirror))
            except (ConnectionError, ssl.SSLError):  # the client has gone
                self.close_connection = True

        do_HEAD = do_GET  # noqa: N815  the server's own name

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: Any) -> None:
            """A client that breaks off is what some tests are about."""

    server = Server((HOST, 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    mirror.port = server.server_address[1]
    serving = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    serving.start()
    try:
        yield mirror
    finally:
        mirror.released.set()
        server.shutdown()
        server.server_close()
        serving.join(PATIENCE)
