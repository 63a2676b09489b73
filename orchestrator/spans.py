"""The try-on in its trace: one span from its being taken to its end, which its steps' spans hang under.

The id of that span follows from what is kept of the try-on, so an orchestrator that takes it up knows it too.
"""

import hashlib
import secrets
from collections.abc import Mapping

from orchestrator.state import TryOn
from shared_utils.telemetry.traces import TRACEPARENT, ids_of, tell, tracing

SPAN_DIGITS = 16
NAME = "try-on"


def begun(trace: Mapping[str, str]) -> dict[str, str]:
    """The headers to keep with a try-on that begins. Where none came and traces are on, a trace begins here: that is
    known again by its parent, which is a part of its own id and no span that there is."""
    if not tracing() or ids_of(trace):
        return dict(trace)
    made = secrets.token_hex(SPAN_DIGITS)
    return {**trace, TRACEPARENT: f"00-{made}-{made[:SPAN_DIGITS]}-01"}


def onward(tryon: TryOn) -> dict[str, str]:
    """The headers of what is sent for it: what follows from that hangs under the try-on's span."""
    found = ids_of(tryon.trace)
    if not tracing() or found is None:
        return tryon.trace
    flags = tryon.trace[TRACEPARENT][-2:]
    return {**tryon.trace, TRACEPARENT: f"00-{found[0]}-{_span_id(tryon, *found)}-{flags}"}


def tell_end(tryon: TryOn) -> None:
    """It has ended: its span is whole."""
    found = ids_of(tryon.trace)
    if not tracing() or found is None:
        return
    trace_id, parent = found
    headers = {} if _begins_here(trace_id, parent) else tryon.trace
    attributes = {"correlation_id": tryon.correlation_id, "outcome": tryon.state} | {
        f"attempts.{name}": step.attempt for name, step in tryon.steps.items()
    }
    if tryon.problem is not None:
        attributes["error_code"] = tryon.problem.code
    failure = tryon.problem.code if tryon.state == "failed" and tryon.problem is not None else None
    ids = trace_id, _span_id(tryon, trace_id, parent)
    tell(NAME, headers, ids, (tryon.submitted, tryon.updated), attributes, failure)


def _span_id(tryon: TryOn, trace_id: str, parent: str) -> str:
    told = f"{tryon.correlation_id}/{tryon.work_dir}/{trace_id}/{parent}"
    return hashlib.sha256(told.encode()).hexdigest()[:SPAN_DIGITS]


def _begins_here(trace_id: str, parent: str) -> bool:
    return parent == trace_id[:SPAN_DIGITS]
