"""What the gateway tells of a try-on."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field

from orchestrator.course import Course, Phase, Position
from orchestrator.models import TryOnFailure
from orchestrator.state import TryOn
from orchestrator.steps import LAST, STEPS
from shared_utils.contracts import Message, Progress, Seed, Timestamp
from shared_utils.errors import InvalidRequestError

StepPhase = Literal["waiting", "running", "done", "failed", "stopped"]
State = Literal["waiting", "running", "succeeded", "failed", "cancelled", "refused"]
ENDED: frozenset[State] = frozenset({"succeeded", "failed", "cancelled", "refused"})

_PHASES: dict[Phase, StepPhase] = {
    "waiting": "waiting",
    "sent": "running",
    "working": "running",
    "finished": "running",
    "done": "done",
    "failed": "failed",
    "stopped": "stopped",
    "not begun": "stopped",
}
_CURSOR = re.compile(r"(-1|\d{1,18})\.(-1|\d{1,18})", re.ASCII)


class StepView(Message):
    """How far one step of a try-on is."""

    name: str = Field(description="The stage that does it.")
    state: StepPhase = Field(description="stopped: the try-on ended before the step was done, or before it was begun.")
    attempt: int = Field(1, description="Which attempt at the step this is.")
    node: str | None = Field(None, description="ComfyUI's node that runs, as far as the stage has said.")
    done: int = Field(0, description="Steps of the node that are done.")
    total: int = Field(0, description="How many it has; 0 if it does not count them.")
    started: Timestamp | None = Field(None, description="When this attempt was sent to a worker.")
    finished: Timestamp | None = Field(None, description="When it was done, or stopped.")
    processing_time_ms: int | None = Field(None, description="Of that, the time in the stage itself.")

    @classmethod
    def of(cls, name: str, position: Position) -> Self:
        return cls(
            name=name,
            state=_PHASES[position.phase],
            attempt=position.attempt,
            node=position.node,
            done=position.done,
            total=position.total,
            started=position.since,
            finished=position.until if position.since else None,
            processing_time_ms=position.processing_time_ms,
        )


class ProblemView(Message):
    """Why a try-on did not succeed."""

    code: str = Field(description="Stable: match on this one.")
    message: str = Field(description="What happened, where, and what to do.")
    step: str | None = Field(None, description="The step that failed; null if it was none of them.")
    retryable: bool = Field(False, description="Whether the same request may succeed later.")


class TryOnView(Message):
    """One try-on, as far as Kafka tells."""

    id: str = Field(description="Names the try-on.")
    request_id: str = Field(description="Names the request that it was asked for with.")
    state: State = Field(description="refused: the request can't be used, and nothing was begun.")
    position: int | None = Field(None, description="Its place among those that wait, 1 for the next; else null.")
    submitted: Timestamp = Field(description="When it was asked for.")
    updated: Timestamp = Field(description="When its state last changed.")
    prompt: str = Field(description="What to do with the pictures.")
    seed: Seed | None = Field(None, description="Up to 2^64 - 1, more than JavaScript's numbers hold: see seed_text.")
    seed_text: str | None = Field(None, description="The seed, digit by digit.")
    steps: list[StepView] = Field(description="All four, in the order of the workflow.")
    problem: ProblemView | None = Field(None, description="Why it did not succeed.")
    image_url: str | None = Field(None, description="Where the gateway gives the picture, once there is one.")
    image_path: str | None = Field(None, description="The picture on the shared storage.")
    miniature: bool | None = Field(
        None, description="Whether miniature models were used; null until a step has answered."
    )

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @classmethod
    def of(cls, tryon: TryOn, progress: Iterable[Progress] = ()) -> Self:
        """One that an orchestrator has begun: its state, and what its stages have said since."""
        name, request, problem = tryon.correlation_id, tryon.request, tryon.problem
        course = Course(name)
        course.hear(tryon)
        for news in progress:
            course.hear(news)
        path = image_path_of(tryon)
        return cls(
            id=name,
            request_id=request.request_id,
            state=tryon.state,
            submitted=request.timestamp,
            updated=tryon.updated,
            prompt=request.prompt,
            seed=request.seed,
            seed_text=None if request.seed is None else str(request.seed),
            steps=[StepView.of(step, position) for step, position in course.steps.items()],
            problem=None if problem is None else ProblemView(**dict(problem)),
            image_url=f"/v1/try-ons/{name}/image" if path else None,
            image_path=path,
            miniature=miniature_of(tryon),
        )

    @classmethod
    def refused(cls, answer: TryOnFailure, name: str) -> Self:
        """One whose request can't be used. Of that, only the answer is known."""
        problem = ProblemView(code=answer.error_code, message=answer.error_message, retryable=answer.retryable)
        return cls(
            id=name,
            request_id=answer.request_id,
            state="refused",
            submitted=answer.timestamp,
            updated=answer.timestamp,
            prompt="",
            steps=[StepView(name=step, state="stopped") for step in STEPS],
            problem=problem,
        )


def image_path_of(tryon: TryOn) -> str | None:
    """Where its picture is, once there is one."""
    path = tryon.results.get(LAST, {}).get("image_path") if tryon.state == "succeeded" else None
    return path if isinstance(path, str) else None


def miniature_of(tryon: TryOn) -> bool | None:
    """Whether any step says so; None while none says anything."""
    metadata = (result.get("metadata") for result in tryon.results.values())
    said = [each["miniature"] for each in metadata if isinstance(each, dict) and "miniature" in each]
    return any(each is True for each in said) if said else None


@dataclass(frozen=True)
class Cursor:
    """How much of a try-on somebody has heard: the offsets of the last records on its status and progress topics.

    Kafka's own offsets, so it means the same at every gateway and after every restart.
    """

    status: int = -1
    progress: int = -1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidRequestError."""
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise InvalidRequestError(f"{text[:80]!r} is no id of an event: give the last one that came, or none.")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.status}.{self.progress}"


@dataclass(frozen=True)
class Event:
    """One piece of news of a try-on."""

    kind: Literal["status", "progress"]
    data: bytes
    """JSON: a TryOnView, or a Progress."""
    cursor: Cursor | None = None
    """Where to go on after it; None if it is no record of Kafka's: the place of one that waits."""
    last: bool = False
    """Whether nothing follows: the try-on has ended."""


@dataclass(frozen=True)
class Known:
    """What the gateway itself needs to know of a try-on."""

    state: State
    partition: int
    request_id: str
    image_path: str | None = None
