"""What a stage is, and how whatever happens in one becomes an answer.

A stage takes a request and returns a response. It knows nothing about how it was reached: each transport adapts these
same two models.
"""

import logging
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from shared_utils.comfy.progress import Watcher, unwatched, watched_by
from shared_utils.contracts import Failure, Request, Success, echoable, invalid_request
from shared_utils.errors import InternalError, VtryonError, first_line
from shared_utils.telemetry.logs import job_context
from shared_utils.telemetry.metrics import SUCCESS
from shared_utils.telemetry.traces import Span, span

if TYPE_CHECKING:  # who only asks for a stage has none of what loading models needs
    from shared_utils.comfy.loader import Models

log = logging.getLogger("vtryon.stage")

RequestT = TypeVar("RequestT", bound=Request)


class Stage(Protocol):
    """One step of a try-on."""

    name: str
    verb: str
    """What it does to a request, for the ways in that name methods: encode, sample, decode."""
    request_type: type[Any]
    """The request that `run` takes: a subclass of Request."""
    response_type: type[Any]
    """What `run` returns: a subclass of Success."""
    models: "Models"
    """What it loads models with: tells which are in memory."""
    options: Any
    """The service's Config: what a request may leave out, with the values that the environment gave."""

    def warm_up(self) -> None:
        """Load what the default request needs, so that the first one need not wait."""

    def run(self, request: Any) -> Success:
        """Do the step, or raise a VtryonError. Tells `shared_utils.comfy.progress` how far it is."""


def parse(request_type: type[RequestT], options: BaseModel, fields: Mapping[str, Any]) -> RequestT:
    """The request that these fields make, completed by the options. Null is the same as absent."""
    defaults = {name: value for name, value in options if name in request_type.model_fields}
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return request_type.model_validate(defaults | given)
    except ValidationError as wrong:
        raise invalid_request(wrong) from None


def answer(
    stage: Stage, fields: Mapping[str, Any], watcher: Watcher = unwatched, attempt: int = 1
) -> Success | Failure:
    """Answer any request, whatever it holds and whatever happens."""
    ids = {
        "request_id": echoable(fields.get("request_id")) or uuid.uuid4().hex,
        "correlation_id": echoable(fields.get("correlation_id")),
    }
    with (
        job_context(stage=stage.name, **ids),
        span(stage.name, "consumer", stage=stage.name, attempt=attempt, **ids) as step,
    ):
        given = fields.get("request_id") or ids["request_id"]  # not what is echoed: that may be a part of it only
        response = _answer(stage, {**fields, "request_id": given}, watcher, ids)
        _note(step, response)
        return response


def _answer(
    stage: Stage, fields: Mapping[str, Any], watcher: Watcher, ids: Mapping[str, str | None]
) -> Success | Failure:
    request_id, correlation_id = str(ids["request_id"]), ids["correlation_id"]
    try:
        request = parse(stage.request_type, stage.options, fields)
        log.info("started")
        with watched_by(watcher):
            response = stage.run(request)
    except VtryonError as error:
        log.warning("%s: %s", error.code, error.message)
        log.debug("where it happened", exc_info=True)
        return Failure.of(error, request_id, correlation_id)
    except Exception as defect:
        log.exception("a defect in the stage %s", stage.name)
        internal = InternalError(f"{type(defect).__name__}: {first_line(defect)} (the log has the details)")
        return Failure.of(internal, request_id, correlation_id)
    log.info("finished")
    return response


def _note(step: Span, response: Success | Failure) -> None:
    """How it ended, for the trace."""
    step.set("outcome", outcome_of(response))
    if isinstance(response, Failure):
        step.fail(response.error_code)


def outcome_of(response: Success | Failure) -> str:
    """In a word: success, or the error's code."""
    return response.error_code if isinstance(response, Failure) else SUCCESS


class Stopwatch:
    """How long a job took, for its metadata."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def milliseconds(self) -> int:
        return round((time.perf_counter() - self._start) * 1000)
