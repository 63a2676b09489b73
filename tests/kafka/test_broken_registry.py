"""A schema registry that is away, or of no use, is no fault of the message."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from shared_utils.ports import free_port
from shared_utils.transports.kafka.avro import AvroCodec, RegistryUnavailableError
from shared_utils.transports.kafka.settings import KafkaSettings

SAMPLING = "sampling-requests"
PATHS = {"positive_encoding": "a.pt", "latent_image": "b.pt"}


@pytest.fixture
def codec_at() -> Iterator[Callable[..., AvroCodec]]:
    with ExitStack() as opened:

        def make(url: str, **settings: Any) -> AvroCodec:
            return opened.enter_context(closing(AvroCodec(KafkaSettings(schema_registry_url=url, **settings))))

        yield make


def test_no_registry_at_all(codec_at: Callable[..., AvroCodec]) -> None:
    codec = codec_at(f"http://somebody:secret@127.0.0.1:{free_port()}")
    for call in (lambda: codec.encode(SAMPLING, PATHS), lambda: codec.decode(SAMPLING, b"\0\0\0\0\1abc")):
        with pytest.raises(RegistryUnavailableError, match=r"doesn't answer: .* Check SCHEMA_REGISTRY_URL") as raised:
            call()
        assert raised.value.retryable
        assert "secret" not in raised.value.message


class Broken(BaseHTTPRequestHandler):
    """Stands in for a registry that is there and of no use; it says who asked."""

    status, body = 500, b"{}"
    asked: list[str | None]

    def do_GET(self) -> None:
        self.asked.append(self.headers["Authorization"])
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *arguments: Any) -> None:
        """Not into the tests' output."""


@pytest.fixture(params=[(401, b"{}"), (403, b"{}"), (503, b"{}"), (200, b"<html>")], ids=str)
def broken(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[str | None]]]:
    status, body = request.param
    asked: list[str | None] = []
    handler = type("Handler", (Broken,), {"status": status, "body": body, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_a_registry_that_does_not_let_us_in_is_no_fault_of_the_message(
    broken: tuple[str, list[str | None]], codec_at: Callable[..., AvroCodec]
) -> None:
    url, asked = broken
    codec = codec_at(url, schema_registry_basic_auth_user_info="somebody:secret")
    for call in (lambda: codec.encode(SAMPLING, PATHS), lambda: codec.decode(SAMPLING, b"\0\0\0\0\1abc")):
        with pytest.raises(RegistryUnavailableError) as raised:
            call()
        assert "secret" not in raised.value.message
    assert set(asked) == {"Basic c29tZWJvZHk6c2VjcmV0"}


WITHOUT_AVRO = """
import sys
sys.modules["confluent_kafka.schema_registry"] = None
from shared_utils.transports.kafka.avro import AvroCodec, AvroNotInstalledError
from shared_utils.transports.kafka.settings import KafkaSettings
try:
    AvroCodec(KafkaSettings())
except AvroNotInstalledError as error:
    print(error.message)
"""


def test_avro_is_an_extra() -> None:
    told = subprocess.run([sys.executable, "-c", WITHOUT_AVRO], check=True, capture_output=True, text=True)
    assert "pip install 'vtryon[avro]'" in told.stdout
