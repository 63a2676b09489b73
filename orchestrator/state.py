"""What is kept of a try-on: enough to go on with it after any crash, and to tell anybody how far it is."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from orchestrator.models import TryOnRequest
from shared_utils.contracts import Message, Timestamp

Results = Mapping[str, Mapping[str, Any]]
"""What each step that is done answered."""


class StepState(Message):
    """A step that has been sent at least once; one that has not is not in the state."""

    state: Literal["sent", "done"]
    attempt: int
    started: Timestamp
    deadline: Timestamp
    finished: Timestamp | None = None
    result: dict[str, Any] = Field(default_factory=dict)

    @property
    def processing_time_ms(self) -> int | None:
        """The time in the stage itself, if it said so."""
        metadata = self.result.get("metadata")
        taken = metadata.get("processing_time_ms") if isinstance(metadata, dict) else None
        return taken if isinstance(taken, int) else None


class Problem(Message):
    """Why a try-on did not succeed."""

    code: str
    message: str
    step: str | None = None
    retryable: bool = False


class TryOn(Message):
    """All there is to know about one try-on: enough to go on with it after any crash."""

    correlation_id: str
    request: TryOnRequest
    state: Literal["running", "succeeded", "failed", "cancelled"] = "running"
    steps: dict[str, StepState] = Field(default_factory=dict)
    problem: Problem | None = None
    work_dir: str = Field("./output/intermediate", description="Where its steps put what they hand to each other.")
    trace: dict[str, str] = Field(default_factory=dict)
    """Headers that go with everything sent for it."""
    submitted: Timestamp
    updated: Timestamp

    @property
    def ended(self) -> bool:
        return self.state != "running"

    @property
    def results(self) -> Results:
        return {name: step.result for name, step in self.steps.items() if step.state == "done"}

    @property
    def in_flight(self) -> dict[str, StepState]:
        return {name: step for name, step in self.steps.items() if step.state == "sent"}
