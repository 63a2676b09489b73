"""Traces: nothing where they are off, spans that hang together where they are on, a collector that can't do harm."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from shared_utils.settings import Settings
from shared_utils.telemetry import traces
from shared_utils.telemetry.logs import _job
from shared_utils.telemetry.nodes import nodes_ran, timed
from shared_utils.telemetry.traces import continued, outgoing, span, start_traces, stop_traces, tell
from tests.shared_utils.telemetry.collector import Collector, collecting

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CAME = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "a=b", "baggage": "k=v", "other": "x"}
OFF = """
import sys
import shared_utils.worker, orchestrator.main
from shared_utils.settings import Settings
from shared_utils.telemetry.traces import span, start_traces
start_traces(Settings(), "sampling")
with span("something"):
    pass
print([name for name in sys.modules if name.startswith("opentelemetry") or name == "torch"])
import orchestrator.gateway.process  # FastAPI imports OpenTelemetry's API by itself
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        start_traces(Settings(otel_exporter_otlp_endpoint=made.url), "latent_encoder")
        yield made
        stop_traces()


def test_off_costs_nothing() -> None:
    """Not even the import."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    path = os.pathsep.join(sys.path)
    shown = subprocess.run(
        [sys.executable, "-c", OFF], env=kept | {"PYTHONPATH": path}, check=True, capture_output=True, text=True
    )
    assert shown.stdout.split() == ["[]", "[]"]


def test_off_the_headers_that_came_go_on_as_they_are() -> None:
    with continued(CAME), span("something") as done:
        done.set("outcome", "success")
        assert outgoing() == {name: CAME[name] for name in ("traceparent", "tracestate", "baggage")}
    assert outgoing() == {}


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "x" * 9000,
        f"00-{TRACE}-{CALLER}",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{CALLER}-01",
        f"00-{TRACE}-{CALLER}-01\r\nx: y",
    ],
)
def test_what_is_no_trace_goes_no_further(wrong: str) -> None:
    with continued({"traceparent": wrong, "baggage": "k=v"}):
        assert outgoing() == {}


def test_spans_hang_under_each_other(collector: Collector) -> None:
    with continued(CAME), span("outer", "server", stage="sampling", nothing=None) as outer:
        outer.set("outcome", "success")
        sent = outgoing()
        assert len(_job.get()["trace_id"]) == 32
        with span("inner"):
            pass
    assert "trace_id" not in _job.get()
    stop_traces()
    inner, outside = collector.spans
    assert {inner.trace, outside.trace} == {TRACE}
    assert (outside.parent, inner.parent) == (CALLER, outside.id)
    assert outside.attributes == {"stage": "sampling", "outcome": "success"}
    assert outside.service == "vtryon-latent-encoder"
    # What is asked of others names the span that it is asked in; what else came with the trace goes on.
    assert sent == {"traceparent": f"00-{TRACE}-{outside.id}-01", "tracestate": "a=b", "baggage": "k=v"}


def test_a_caller_who_does_not_trace_is_not_traced(collector: Collector) -> None:
    with continued({"traceparent": f"00-{TRACE}-{CALLER}-00"}), span("something"):
        assert outgoing()["traceparent"].endswith("-00")
    stop_traces()
    assert collector.spans == []


def test_what_fails_is_marked(collector: Collector) -> None:
    with pytest.raises(ValueError, match="no"), span("something"):
        raise ValueError("no")
    stop_traces()
    assert [span.failure for span in collector.spans] == ["ValueError"]


def test_a_span_that_has_been(collector: Collector) -> None:
    began = datetime.now(UTC)
    ids = TRACE, "1" * 16
    tell("try-on", {}, ids, (began, began + timedelta(seconds=12)), {"outcome": "failed"}, "OUT_OF_MEMORY")
    stop_traces()
    (found,) = collector.spans
    assert (found.trace, found.id, found.parent, found.failure) == (TRACE, "1" * 16, "", "OUT_OF_MEMORY")
    assert found.seconds == pytest.approx(12)


def test_nodes_are_timed_and_traced(collector: Collector) -> None:
    told: list[str] = []
    with span("sampling"), nodes_ran.to(lambda node, _: told.append(node)), timed("KSampler"):
        pass
    stop_traces()
    assert told == ["KSampler"]
    assert [span.name for span in collector.spans] == ["KSampler", "sampling"]


def test_a_collector_that_hangs_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    """More spans than the queue has room for, and an end that does not wait for it."""
    with collecting() as collector:
        collector.held.clear()
        start_traces(Settings(otel_exporter_otlp_endpoint=collector.url), "sampling")
        done = threading.Event()

        def work() -> None:
            for _ in range(6000):
                with span("something"):
                    pass
            stop_traces(seconds=0.1)
            done.set()

        threading.Thread(target=work, daemon=True).start()
        assert done.wait(60)
        assert traces.tracing() is False
    assert [record.message for record in caplog.records if record.name.startswith("opentelemetry")] == []


def test_a_collector_that_is_away_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "vtryon"), collecting() as collector:
        collector.answer = 400
        start_traces(Settings(otel_exporter_otlp_endpoint=collector.url), "sampling")
        for _ in range(3):
            with span("something"):
                pass
            assert collector.asked.acquire(timeout=60)
        collector.answer = 200
        with span("something"):
            pass
        assert collector.asked.acquire(timeout=60)
        stop_traces()
    said = [record.getMessage() for record in caplog.records if record.name == "vtryon.traces"]
    assert len(said) == 2
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in said[0]
    assert said[1] == "traces are taken again"


def test_without_the_extra_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        start_traces(Settings(otel_exporter_otlp_endpoint="http://127.0.0.1:4318"), "sampling")
    assert ended.value.code == 2
    assert "vtryon[traces]" in caplog.text
