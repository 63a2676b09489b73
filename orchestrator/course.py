"""How far each step of a try-on is: a fold of the news that Kafka has of it, whatever their order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from orchestrator.models import StepTiming, TryOnFailure, TryOnSuccess
from orchestrator.state import StepState, TryOn
from orchestrator.steps import STEPS
from orchestrator.workflow import request_id
from shared_utils.contracts import Progress, now
from shared_utils.transports.kafka.topics import TRYON_PROGRESS, TRYON_STATUS

News = Progress | TryOn | TryOnSuccess | TryOnFailure
Phase = Literal["waiting", "sent", "working", "finished", "done", "failed", "stopped", "not begun"]


def read_news(topic: str, fields: Mapping[str, Any]) -> News:
    """A message on one of the three topics."""
    if topic == TRYON_PROGRESS:
        return Progress.model_validate(fields)
    if topic == TRYON_STATUS:
        return TryOn.model_validate(fields)
    return (TryOnSuccess if fields.get("status") == "success" else TryOnFailure).model_validate(fields)


@dataclass
class Position:
    """How far one step is."""

    phase: Phase = "waiting"
    node: str | None = None
    done: int = 0
    total: int = 0
    attempt: int = 1
    since: datetime | None = None
    until: datetime | None = None
    processing_time_ms: int | None = None

    @property
    def text(self) -> str:
        """The same in a few words."""
        count = f" {self.done}/{self.total}" if self.total else ""
        words = {"sent": "sent to a worker", "working": f"{self.node or 'started'}{count}"}.get(self.phase, self.phase)
        running = self.since is not None and self.until is None
        return f"attempt {self.attempt}: {words}" if running and self.attempt > 1 else words

    @property
    def seconds(self) -> float | None:
        """Since it was sent; None before that."""
        return None if self.since is None else max(0.0, ((self.until or now()) - self.since).total_seconds())

    def show(self, phase: Phase, node: str | None = None, done: int = 0, total: int = 0) -> None:
        self.phase, self.node, self.done, self.total = phase, node, done, total


@dataclass
class Course:
    """How far all steps of a try-on are, as far as one has heard. News may come in any order."""

    correlation_id: str
    steps: dict[str, Position] = field(default_factory=lambda: {name: Position() for name in STEPS})
    answer: TryOnSuccess | TryOnFailure | None = None
    taken: bool = False
    """Whether an orchestrator has begun with it."""

    def hear(self, news: News) -> None:
        if isinstance(news, Progress):
            self._hear_of_step(news)
        elif isinstance(news, TryOn):
            self.taken = True
            for name, state in news.steps.items():
                self._hear_of_state(name, state)
            if news.ended:
                self._end(news.updated, news.problem.step if news.problem else None)
        else:
            self.answer = news
            for timing in news.timings:
                self._hear_of_timing(timing)
            self._end(news.timestamp, news.failed_step if isinstance(news, TryOnFailure) else None)

    def _hear_of_step(self, news: Progress) -> None:
        position = self.steps.get(news.step)
        if position is None or position.until is not None:
            return
        if position.since is None:
            position.since = news.timestamp
        if news.request_id != request_id(self.correlation_id, news.step, position.attempt):
            return
        if news.state in ("started", "running"):
            position.show("working", news.node, news.done, news.total)
        else:
            position.show("finished" if news.state == "done" else "failed")

    def _hear_of_state(self, name: str, state: StepState) -> None:
        position = self.steps.get(name)
        if position is None or position.until is not None:
            return
        if state.state == "done":
            position.attempt, position.since, position.until = state.attempt, state.started, state.finished or now()
            position.processing_time_ms = state.processing_time_ms
            position.show("done", done=1, total=1)
        elif position.since is None or position.attempt != state.attempt:
            # News of the first attempt can be faster than that of its being sent.
            position.attempt = state.attempt
            if position.since is None or state.attempt > 1:
                position.since = state.started
                position.show("sent")

    def _hear_of_timing(self, timing: StepTiming) -> None:
        position = self.steps.get(timing.step)
        if position is not None:
            position.attempt, position.since, position.until = timing.attempts, timing.started, timing.finished
            position.processing_time_ms = timing.processing_time_ms
            position.show("done", done=1, total=1)

    def _end(self, at: datetime, failed_step: str | None) -> None:
        """What is not done by now is not done any more."""
        for name, position in self.steps.items():
            if position.until is None:
                position.until = at
                position.show("failed" if name == failed_step else "stopped" if position.since else "not begun")
