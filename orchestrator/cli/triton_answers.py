"""How a try-on on Triton ended, in the words that the other ways have for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from orchestrator.cli.followed import Followed
from orchestrator.client import Picture
from orchestrator.course import Position
from orchestrator.gateway.models import ProblemView, State, StepView, TryOnView
from orchestrator.models import TryOnRequest
from orchestrator.steps import LAST, STEPS
from shared_utils.contracts import ImageFormat, Message, Seed, Timestamp, now
from shared_utils.errors import CancelledError, VtryonError, first_line
from shared_utils.transports.triton.errors import TritonFailedError
from shared_utils.transports.triton.wire import Value

IMAGE = "image"
OUTPUTS = [IMAGE, *STEPS]
"""What is asked for: the picture, and the response of each step."""


@dataclass(frozen=True)
class Asked:
    """One try-on, and the request that it is asked for with."""

    tryon: Followed
    request: TryOnRequest
    sent: frozenset[str]
    """The fields that go along. Of the others, Triton's own defaults count."""

    def ended(self, state: State, steps: list[StepView], **fields: Any) -> TryOnView:
        return TryOnView(
            id=self.tryon.name,
            request_id=self.request.request_id,
            state=state,
            submitted=self.request.timestamp,
            updated=now(),
            prompt=self.request.prompt,
            steps=steps,
            **fields,
        )


class Metadata(Message):
    """What is told of a step's work."""

    processing_time_ms: int
    miniature: bool = False
    seed: Seed | None = None
    output_format: ImageFormat | None = None


class Done(Message):
    """A step's response, as far as it is read here."""

    timestamp: Timestamp
    metadata: Metadata

    def shown(self, name: str) -> StepView:
        milliseconds = self.metadata.processing_time_ms
        started = self.timestamp - timedelta(milliseconds=milliseconds)
        return StepView(
            name=name,
            state="done",
            started=started,
            finished=self.timestamp,
            processing_time_ms=milliseconds,
        )


def succeeded(each: Asked, outputs: Mapping[str, Value]) -> tuple[TryOnView, Picture]:
    """What there is to say, and the picture. TritonFailedError if that can't be read."""
    try:
        done = {name: Done.model_validate_json(outputs[name].texts()[0]) for name in STEPS}
        picture = Picture(outputs[IMAGE].content, f".{done[LAST].metadata.output_format or 'png'}")
    except (IndexError, KeyError, ValueError, ValidationError) as unreadable:
        raise TritonFailedError(
            f"The answer can't be read, it is of another version: {first_line(unreadable)}."
        ) from None
    seed = done["sampling"].metadata.seed
    view = each.ended(
        "succeeded",
        [step.shown(name) for name, step in done.items()],
        seed=seed,
        seed_text=None if seed is None else str(seed),
        miniature=any(step.metadata.miniature for step in done.values()),
    )
    return view, picture


def failed(each: Asked, error: VtryonError) -> TryOnView:
    """What there is to say of one that has no picture."""
    steps = [_left(name, position) for name, position in each.tryon.course.steps.items()]
    problem = ProblemView(code=error.code, message=error.message, retryable=error.retryable)
    return each.ended("cancelled" if error.code == CancelledError.code else "failed", steps, problem=problem)


def _left(name: str, position: Position) -> StepView:
    """A step as it was when all ended."""
    state = "done" if position.phase == "finished" else "stopped"
    at = None if position.since is None else now()
    return StepView.of(name, position).model_copy(update={"state": state, "finished": at})
