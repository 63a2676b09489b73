"""How try-ons ended, for a person."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.cli.followed import Answer, Followed
from orchestrator.cli.tables import seconds, shortened, table
from orchestrator.gateway.models import TryOnView
from orchestrator.models import StepTiming, TryOnSuccess

LONGEST = 100


@dataclass(frozen=True)
class Result:
    """How one ended, whoever says it."""

    state: str
    picture: str | None = None
    seed: int | None = None
    code: str | None = None
    message: str = ""
    step: str | None = None
    put_aside: bool = False
    """Whether its request is among the dead letters."""
    timings: Sequence[StepTiming] = field(default_factory=list)

    @property
    def problem(self) -> str:
        return f"{self.code}: {self.message}" if self.code else self.state

    @property
    def seconds(self) -> float:
        """From the first step's beginning to the last one's end."""
        if not self.timings:
            return 0.0
        return (
            max(each.finished for each in self.timings) - min(each.started for each in self.timings)
        ).total_seconds()


def result_of(answer: Answer) -> Result:
    if isinstance(answer, TryOnSuccess):
        return Result("succeeded", answer.image_path, answer.seed, timings=answer.timings)
    if isinstance(answer, TryOnView):
        problem = answer.problem
        return Result(
            answer.state,
            answer.image_path,
            answer.seed,
            problem.code if problem else None,
            problem.message if problem else "",
            problem.step if problem else None,
            timings=_timings(answer),
        )
    cancelled = answer.error_code == "CANCELLED"
    return Result(
        "cancelled" if cancelled else "failed",
        code=answer.error_code,
        message=answer.error_message,
        step=answer.failed_step,
        put_aside=not cancelled,
        timings=answer.timings,
    )


def tell(answer: Answer, file: Path | None = None) -> None:
    """All about one. `file` is where its picture was put on this machine."""
    result = result_of(answer)
    if result.timings:
        print(f"\n{timings(result)}")  # noqa: T201
    if result.state == "succeeded":
        print(f"\nThe picture: {file or result.picture}\nThe seed: {result.seed}")  # noqa: T201
        return
    where = f" in {result.step}" if result.step else ""
    remark(f"\nThe try-on did not succeed{where}: {result.problem}")
    if result.put_aside:
        remark("Its request was put aside: vtryon dlq list tryon")


def tell_all(tryons: Sequence[Followed]) -> None:
    """A line for each."""
    rows = [_row(each, result_of(each.answer)) for each in tryons if each.answer is not None]
    print(f"\n{table(['garment', 'state', ' time', 'try-on', 'picture or problem'], rows)}")  # noqa: T201


def _row(tryon: Followed, result: Result) -> list[str]:
    found = str(tryon.file or result.picture) if result.state == "succeeded" else result.problem
    return [tryon.label, result.state, seconds(result.seconds), tryon.name, shortened(found, LONGEST)]


def timings(result: Result) -> str:
    """How long each step waited for a worker, and worked."""
    rows = []
    for each in result.timings:
        whole = (each.finished - each.started).total_seconds()
        worked = whole if each.processing_time_ms is None else each.processing_time_ms / 1000
        rows.append([each.step, str(each.attempts), seconds(max(0.0, whole - worked)), seconds(worked), seconds(whole)])
    rows.append(["all", "", "", "", seconds(result.seconds)])
    return table(["step", " attempts", " waited", " worked", " together"], rows)


def remark(text: str) -> None:
    """What is no result goes to stderr."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _timings(view: TryOnView) -> list[StepTiming]:
    return [
        StepTiming(
            step=step.name,
            attempts=step.attempt,
            started=step.started,
            finished=step.finished,
            processing_time_ms=step.processing_time_ms,
        )
        for step in view.steps
        if step.state == "done" and step.started is not None and step.finished is not None
    ]
