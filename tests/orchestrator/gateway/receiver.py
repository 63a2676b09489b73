"""A receiver of callbacks: a real HTTP server that answers what a test tells it."""

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PATIENCE = 60.0
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Call:
    """What has come."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def name(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """Where it listens, and what has come."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    answer: Callable[[Call], int] = lambda call: 204
    headers: dict[str, str] = field(default_factory=dict)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def url(self, path: str = "/done", host: str = HOST, scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def wait(self, times: int) -> list[Call]:
        """So many calls, at least."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.calls) >= times, PATIENCE), self.calls
            return list(self.calls)

    def take(self, call: Call) -> int:
        with self.arrived:
            self.calls.append(call)
            self.arrived.notify_all()
        return self.answer(call)


@contextmanager
def receiving(certificate: Path | None = None) -> Iterator[Receiver]:
    """One that listens on this machine; over TLS, if it has a certificate."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receiver.take(Call(self.path, headers, body))
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *whose: object) -> None:
            """A caller may hang up."""

    with Server((HOST, 0), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def certificate_for(host: str, folder: Path) -> Path:
    """A key and the certificate for this name that it signed itself, in one file."""
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tests"]
    files = ["-addext", f"subjectAltName=DNS:{host}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made, *files], check=True, capture_output=True)
    both.write_text(key.read_text() + certificate.read_text())
    return both
