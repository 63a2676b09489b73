"""What happens next in a try-on: a function of its state and of what has just happened.

No clock, no input or output, no Kafka. Whoever runs it keeps the state, delivers events in any order, more than once or
not at all, and sends what it is told to send. Time comes in with the events.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from orchestrator.models import TryOnRequest
from orchestrator.state import Problem, StepState, TryOn
from orchestrator.steps import LAST, STEPS


@dataclass(frozen=True)
class Policy:
    """How long a step may take, and how often it is tried."""

    seconds: Mapping[str, float]
    attempts: int = 3


@dataclass(frozen=True)
class Submitted:
    """Somebody asks for a try-on. `request` has a correlation id."""

    request: TryOnRequest
    at: datetime
    work_dir: str = "./output/intermediate"
    trace: Mapping[str, str] = field(default_factory=dict)
    cancelled: bool = False
    """Whether somebody has said already that it is not wanted any more."""


@dataclass(frozen=True)
class Answered:
    """A stage answered: with its response, or with a problem."""

    step: str
    request_id: str
    at: datetime
    result: Mapping[str, Any] = field(default_factory=dict)
    problem: Problem | None = None


@dataclass(frozen=True)
class Expired:
    """Nobody answered this request before its deadline."""

    step: str
    request_id: str
    at: datetime


@dataclass(frozen=True)
class CancelRequested:
    at: datetime


Event = Submitted | Answered | Expired | CancelRequested


@dataclass(frozen=True)
class AskStage:
    """Send this request to a stage."""

    step: str
    request_id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class StopStage:
    """Nobody waits for this request any more."""

    step: str
    request_id: str


@dataclass(frozen=True)
class Respond:
    """The try-on has ended: answer whoever asked for it."""

    tryon: TryOn


Command = AskStage | StopStage | Respond


@dataclass(frozen=True)
class Decision:
    """The next state, and what to send. If nothing has changed, the state is the very object that came in."""

    tryon: TryOn | None
    commands: tuple[Command, ...] = ()


CANCELLED = Problem(code="CANCELLED", message="The try-on was cancelled.")


def request_id(correlation_id: str, step: str, attempt: int) -> str:
    """The id of a stage's request. The same attempt always has the same one, so that sending it twice is harmless."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{correlation_id}/{step}/{attempt}").hex


def advance(tryon: TryOn | None, event: Event, policy: Policy) -> Decision:
    """Any event in any state is fine: what does not concern this try-on, or no longer does, changes nothing."""
    if isinstance(event, Submitted):
        return _submitted(event, policy) if tryon is None else Decision(tryon)
    if tryon is None or tryon.ended:
        return Decision(tryon)
    if isinstance(event, CancelRequested):
        return _end(tryon, "cancelled", event.at, CANCELLED)
    return _news_of_a_step(tryon, event, policy)


def _submitted(event: Submitted, policy: Policy) -> Decision:
    correlation_id = event.request.correlation_id or event.request.request_id
    tryon = TryOn(
        correlation_id=correlation_id,
        request=event.request,
        work_dir=event.work_dir,
        trace=dict(event.trace),
        submitted=event.at,
        updated=event.at,
    )
    if event.cancelled:
        return _end(tryon, "cancelled", event.at, CANCELLED)
    return _send_what_can_start(tryon, event.at, policy)


def _news_of_a_step(tryon: TryOn, event: Answered | Expired, policy: Policy) -> Decision:
    attempt = _attempt_of(tryon, event.step, event.request_id)
    if attempt is None:
        return Decision(tryon)
    if isinstance(event, Expired):
        return _unsuccessful(tryon, event.step, attempt, _timed_out(event, policy), event.at, policy)
    problem = _problem(event)
    if problem is not None:
        return _unsuccessful(tryon, event.step, attempt, problem, event.at, policy)
    return _succeeded(tryon, event.step, attempt, event.result, event.at, policy)


def _timed_out(event: Expired, policy: Policy) -> Problem:
    message = f"{event.step} did not answer within {policy.seconds[event.step]:g} seconds."
    return Problem(code="STEP_TIMED_OUT", message=message, step=event.step, retryable=True)


def _attempt_of(tryon: TryOn, step: str, request: str) -> int | None:
    """Which attempt at a step that still runs this request was, if it was one at all."""
    if step not in tryon.in_flight:
        return None
    attempts = range(1, tryon.steps[step].attempt + 1)
    return next((number for number in attempts if request_id(tryon.correlation_id, step, number) == request), None)


def _problem(answer: Answered) -> Problem | None:
    """What is wrong with an answer, or None if the next steps can go on with it."""
    if answer.problem is not None:
        return answer.problem.model_copy(update={"step": answer.step})
    missing = [name for name in STEPS[answer.step].gives if name not in answer.result]
    if missing:
        message = f"{answer.step} answered without {', '.join(missing)}: it is of another version."
        return Problem(code="INVALID_RESPONSE", message=message, step=answer.step)
    return None


def _succeeded(
    tryon: TryOn, step: str, attempt: int, result: Mapping[str, Any], at: datetime, policy: Policy
) -> Decision:
    """Success of any attempt is success; if a later one has been sent by now, nobody waits for that any more."""
    later = () if attempt == tryon.steps[step].attempt else (_stop(tryon, step),)
    done = tryon.steps[step].model_copy(update={"state": "done", "finished": at, "result": dict(result)})
    tryon = _with_step(tryon, step, done, at)
    decision = _end(tryon, "succeeded", at) if step == LAST else _send_what_can_start(tryon, at, policy)
    return Decision(decision.tryon, (*later, *decision.commands))


def _unsuccessful(tryon: TryOn, step: str, attempt: int, problem: Problem, at: datetime, policy: Policy) -> Decision:
    """Try again if that can help and has not been done too often; news of an earlier attempt changes nothing."""
    if attempt != tryon.steps[step].attempt:
        return Decision(tryon)
    if not problem.retryable or attempt >= policy.attempts:
        return _end(tryon, "failed", at, problem)
    retried, ask = _send(tryon, step, attempt + 1, at, policy)
    return Decision(retried, (_stop(tryon, step), ask))


def _stop(tryon: TryOn, step: str) -> StopStage:
    """Stop the attempt at a step that runs now."""
    return StopStage(step, request_id(tryon.correlation_id, step, tryon.steps[step].attempt))


def _send_what_can_start(tryon: TryOn, at: datetime, policy: Policy) -> Decision:
    commands: tuple[Command, ...] = ()
    for name, step in STEPS.items():
        if name not in tryon.steps and all(need in tryon.results for need in step.needs):
            tryon, ask = _send(tryon, name, 1, at, policy)
            commands = (*commands, ask)
    return Decision(tryon, commands)


def _send(tryon: TryOn, step: str, attempt: int, at: datetime, policy: Policy) -> tuple[TryOn, AskStage]:
    deadline = at + timedelta(seconds=policy.seconds[step])
    state = StepState(state="sent", attempt=attempt, started=at, deadline=deadline)
    fields = STEPS[step].fields(tryon)
    ask = AskStage(step, request_id(tryon.correlation_id, step, attempt), fields)
    return _with_step(tryon, step, state, at), ask


def _end(
    tryon: TryOn,
    state: Literal["succeeded", "failed", "cancelled"],
    at: datetime,
    problem: Problem | None = None,
) -> Decision:
    """The one way to end: whatever still runs is stopped, whoever asked is answered."""
    stops = [_stop(tryon, step) for step in tryon.in_flight]
    ended = tryon.model_copy(update={"state": state, "problem": problem, "updated": at})
    return Decision(ended, (*stops, Respond(ended)))


def _with_step(tryon: TryOn, name: str, step: StepState, at: datetime) -> TryOn:
    return tryon.model_copy(update={"steps": {**tryon.steps, name: step}, "updated": at})
