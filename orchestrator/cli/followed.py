"""Try-ons while one looks at them: how far each is, and how it ended."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.course import Course, News
from orchestrator.gateway.models import StepView, TryOnView
from orchestrator.models import TryOnFailure, TryOnSuccess
from shared_utils.contracts import Progress

Answer = TryOnSuccess | TryOnFailure | TryOnView
"""How a try-on ended, as Kafka or a gateway says it."""


@dataclass
class Followed:
    """One try-on. `label` is what a person calls it: the garment's file."""

    name: str
    request_id: str
    label: str
    course: Course
    place: int | None = None
    """Among those that wait, if that is known."""
    answer: Answer | None = None
    file: Path | None = None
    """Where its picture was put on this machine."""

    @property
    def begun(self) -> bool:
        return self.course.taken or self.answer is not None

    def hear(self, news: News | TryOnView) -> None:
        if not isinstance(news, TryOnView):
            self.course.taken = self.course.taken or isinstance(news, Progress)
            self.course.hear(news)
            self.answer = self.answer or self.course.answer
            return
        self.place = news.position
        self.course.taken = self.course.taken or news.state != "waiting"
        for step in news.steps:
            _hear_of_step(self.course, step)
        if news.ended:
            self.answer = news


def followed(name: str, request_id: str, garment: Path) -> Followed:
    """One of which nothing has been heard yet."""
    return Followed(name, request_id, garment.name, Course(name))


def _hear_of_step(course: Course, step: StepView) -> None:
    position = course.steps.get(step.name)
    if position is None or position.until is not None or step.state == "waiting":
        return
    if step.state == "running":
        if position.since is None or position.attempt != step.attempt:
            position.show("sent")
            position.attempt, position.since = step.attempt, step.started
        if step.node is not None:
            position.show("working", step.node, step.done, step.total)
        return
    position.attempt, position.since, position.until = step.attempt, step.started, step.finished
    position.processing_time_ms = step.processing_time_ms
    if step.state == "done":
        position.show("done", done=1, total=1)
    else:
        position.show("failed" if step.state == "failed" else "stopped" if step.started else "not begun")
