"""A little collector of traces: takes OTLP over HTTP, and keeps the spans."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

OK = 200


@dataclass(frozen=True)
class Span:
    """A span as it arrived."""

    name: str
    service: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    seconds: float
    failure: str


class Collector:
    def __init__(self) -> None:
        self.answer = OK
        self.asked = threading.Semaphore(0)
        """Released with each batch that comes."""
        self.held = threading.Event()
        """Nobody is answered before this is set."""
        self.held.set()
        self._spans: list[Span] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["content-length"]))
                collector.asked.release()
                collector.held.wait()
                if collector.answer == OK and self.path == "/v1/traces":
                    collector.take(content)
                self.send_response(collector.answer)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def spans(self) -> list[Span]:
        return list(self._spans)

    def take(self, content: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(content).resource_spans:
            service = _read(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self._spans += [_span(each, service) for each in scope.spans]

    def close(self) -> None:
        self.held.set()
        self._server.shutdown()
        self._server.server_close()


def _span(sent: Any, service: str) -> Span:
    return Span(
        sent.name,
        service,
        sent.trace_id.hex(),
        sent.span_id.hex(),
        sent.parent_span_id.hex(),
        _read(sent.attributes),
        (sent.end_time_unix_nano - sent.start_time_unix_nano) / 1e9,
        sent.status.message,
    )


def _read(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    try:
        yield collector
    finally:
        collector.close()
