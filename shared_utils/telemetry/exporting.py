"""Spans by OpenTelemetry, sent in batches by a thread of their own. A collector that is slow or away costs the oldest
spans, and nothing else. Imported only where traces are on."""

import atexit
import logging
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation import set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared_utils import __version__
from shared_utils.telemetry.traces import TRACEPARENT, Kind, Value

log = logging.getLogger("vtryon.traces")

QUEUE = 4096
BATCH_MS = 1000
EXPORT_SECONDS = 10.0
LAST_SECONDS = 3.0
"""How long the end of a process may wait for a collector."""
KINDS = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "consumer": SpanKind.CONSUMER,
    "producer": SpanKind.PRODUCER,
}

_given: ContextVar[tuple[str, str] | None] = ContextVar("given ids", default=None)


class OpenTelemetry:
    """What shared_utils.telemetry.traces calls a Backend."""

    def __init__(self, endpoint: str, service: str) -> None:
        # It would have a line for every try, and for every span that finds no place. Ours has one.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        exporter = _Exporter(f"{endpoint.rstrip('/')}/v1/traces")
        self._processor = BatchSpanProcessor(exporter, max_queue_size=QUEUE, schedule_delay_millis=BATCH_MS)
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service, "service.version": __version__}),
            id_generator=_Ids(),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("vtryon", __version__)
        self._propagator = TraceContextTextMapPropagator()
        atexit.register(self.close, LAST_SECONDS)

    def begin(
        self,
        name: str,
        kind: Kind,
        headers: Mapping[str, str],
        attributes: Mapping[str, Value],
        began: datetime | None = None,
        ids: tuple[str, str] | None = None,
    ) -> "_Begun":
        parent = self._propagator.extract(dict(headers))
        token = _given.set(ids)
        try:
            made = self._tracer.start_span(
                name, parent, KINDS[kind], dict(attributes), start_time=None if began is None else _nanoseconds(began)
            )
        finally:
            _given.reset(token)
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, set_span_in_context(made))
        kept = {name: value for name, value in headers.items() if name not in (TRACEPARENT, "tracestate")}
        return _Begun(made, kept | carrier)

    def close(self, seconds: float) -> None:
        """Send what is left. A thread that a collector keeps for longer ends with the process."""
        atexit.unregister(self.close)
        last = threading.Thread(target=self._provider.shutdown, name="last traces", daemon=True)
        last.start()
        last.join(seconds)


class _Begun:
    def __init__(self, made: Span, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self._span = made

    def set(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def fail(self, what: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, what))

    def end(self, at: datetime | None = None) -> None:
        self._span.end(None if at is None else _nanoseconds(at))


class _Ids(RandomIdGenerator):
    """Random, unless they are known already."""

    def generate_trace_id(self) -> int:
        given = _given.get()
        return int(given[0], 16) if given else super().generate_trace_id()

    def generate_span_id(self) -> int:
        given = _given.get()
        return int(given[1], 16) if given else super().generate_span_id()


class _Exporter(SpanExporter):
    """Says once that the collector is away, and once that it is back."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._exporter = OTLPSpanExporter(url, timeout=EXPORT_SECONDS)
        self._away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away != self._away:
            self._away = away
            if away:
                log.warning("traces are dropped: nobody takes them at %s (OTEL_EXPORTER_OTLP_ENDPOINT)", self._url)
            else:
                log.info("traces are taken again")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1000
