"""Traces: what was done for one try-on, by all processes, and how long each part took.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set: then nothing of OpenTelemetry is imported, and the headers of a trace
that came with a request go on with what follows from it, as they are.
"""

import importlib.util
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Literal, Protocol

from shared_utils.settings import Settings
from shared_utils.telemetry.logs import job_context

log = logging.getLogger("vtryon.traces")

TRACEPARENT = "traceparent"
HEADERS = (TRACEPARENT, "tracestate", "baggage")
"""W3C's headers of a trace: whatever comes with a request goes on with all that follows from it."""
LONGEST = 8192
"""W3C's bound for baggage, the longest of them."""
PARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")

Kind = Literal["internal", "server", "consumer", "producer"]
Value = str | int | float | bool


class Span(Protocol):
    """Something that was done, in a trace."""

    def set(self, name: str, value: Value) -> None: ...

    def fail(self, what: str) -> None: ...


class Backend(Protocol):
    """What makes spans, and sends them."""

    def begin(
        self,
        name: str,
        kind: Kind,
        headers: Mapping[str, str],
        attributes: Mapping[str, Value],
        began: datetime | None = None,
        ids: tuple[str, str] | None = None,
    ) -> "Begun": ...

    def close(self, seconds: float) -> None: ...


class Begun(Span, Protocol):
    """A span under way."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    def end(self, at: datetime | None = None) -> None: ...


class _Nothing:
    """Stands for a span where there are none."""

    def set(self, name: str, value: Value) -> None:
        pass

    def fail(self, what: str) -> None:
        pass


_backend: Backend | None = None
_headers: ContextVar[Mapping[str, str]] = ContextVar("trace headers", default={})  # noqa: B039  never changed in place
_NOTHING = _Nothing()


def start_traces(settings: Settings, service: str) -> None:
    """From now on spans are sent, if the settings say where to; or the end of the process, if what sends them is not
    installed."""
    global _backend  # noqa: PLW0603  one for a process, as logging is
    if settings.otel_exporter_otlp_endpoint is None or _backend is not None:
        return
    if any(importlib.util.find_spec(name) is None for name in ("opentelemetry", "opentelemetry.exporter")):
        log.error("OTEL_EXPORTER_OTLP_ENDPOINT is set, but nothing sends traces: install vtryon[traces], or unset it.")
        sys.exit(2)
    from shared_utils.telemetry.exporting import OpenTelemetry  # noqa: PLC0415  costs memory and time where nobody looks

    _backend = OpenTelemetry(settings.otel_exporter_otlp_endpoint, f"vtryon-{service.replace('_', '-')}")


def stop_traces(seconds: float = 3.0) -> None:
    """Send what is left, but do not wait for longer than that."""
    global _backend
    backend, _backend = _backend, None
    if backend is not None:
        backend.close(seconds)


def tracing() -> bool:
    return _backend is not None


def trace_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that belong to a trace."""
    return {name: headers[name] for name in HEADERS if 0 < len(headers.get(name, "")) <= LONGEST}


def ids_of(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """The ids of the trace and of the span that a traceparent names; None if there is none that can be read."""
    found = PARENT.fullmatch(headers.get(TRACEPARENT, ""))
    return None if found is None else (found[1], found[2])


@contextmanager
def continued(headers: Mapping[str, str]) -> Iterator[None]:
    """What is done inside belongs to the trace that these headers name, if they name one."""
    token = _headers.set(trace_of(headers) if ids_of(headers) else {})
    try:
        yield
    finally:
        _headers.reset(token)


def outgoing() -> dict[str, str]:
    """The headers for what is asked of others from here."""
    return dict(_headers.get())


@contextmanager
def span(name: str, kind: Kind = "internal", **attributes: Value | None) -> Iterator[Span]:
    """Something is done inside. What is None is no attribute."""
    if _backend is None:
        yield _NOTHING
        return
    given = {name: value for name, value in attributes.items() if value is not None}
    begun = _backend.begin(name, kind, _headers.get(), given)
    token = _headers.set(begun.headers)
    found = ids_of(begun.headers)
    try:
        with job_context(trace_id=found and found[0]):
            yield begun
    except BaseException as failed:
        begun.fail(type(failed).__name__)
        raise
    finally:
        _headers.reset(token)
        begun.end()


def tell(
    name: str,
    headers: Mapping[str, str],
    ids: tuple[str, str],
    times: tuple[datetime, datetime],
    attributes: Mapping[str, Value],
    failure: str | None = None,
) -> None:
    """A span that has been, as part of the one that `headers` name; its trace and its own id are known already."""
    if _backend is None:
        return
    begun = _backend.begin(name, "internal", headers, attributes, times[0], ids)
    if failure is not None:
        begun.fail(failure)
    begun.end(times[1])
