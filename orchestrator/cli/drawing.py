"""How a try-on's course looks: a bar for each step on a terminal, lines elsewhere, and a table at its end."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Never, Protocol

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from orchestrator.cli.tables import seconds, table
from orchestrator.cli.watching import Course, Listener, Position
from orchestrator.models import StepTiming, TryOnFailure, TryOnSuccess
from orchestrator.steps import STEPS

PATIENCE_SECONDS = 10.0
"""After so long without an orchestrator one is told where to look."""


class View(Protocol):
    """Shows a course, again and again."""

    def show(self, course: Course) -> None: ...

    def say(self, line: str) -> None: ...


def watch(
    listener: Listener, course: Course, meanwhile: Callable[[], None] = lambda: None
) -> TryOnSuccess | TryOnFailure:
    """Show how the try-on goes until it has ended; the answer. `meanwhile` is called again and again."""
    started, told = time.monotonic(), False
    with _view() as view:
        view.show(course)
        for news in listener.news():
            meanwhile()
            if news is not None:
                course.hear(news)
            view.show(course)
            if course.answer is not None:
                return course.answer
            if not (course.taken or told) and time.monotonic() - started > PATIENCE_SECONDS:
                told = True
                view.say("No orchestrator has taken it yet. It waits in Kafka; `vtryon doctor` says who is there.")
    raise AssertionError("a listener goes on for ever")


@contextmanager
def _view() -> Iterator[View]:
    if sys.stderr.isatty():
        with Bars() as bars, logging_redirect_tqdm():
            yield bars
    else:
        yield Lines()


class Bars:
    """One bar for each step, one below the other."""

    def __init__(self) -> None:
        self._bars: dict[str, tqdm[Never]] = {}

    def __enter__(self) -> "Bars":
        for number, name in enumerate(STEPS):
            bar: tqdm[Never] = tqdm(
                total=1, position=number, file=sys.stderr, bar_format="{desc} |{bar:24}|", leave=True
            )
            self._bars[name] = bar
        return self

    def __exit__(self, *exception: object) -> None:
        # In this order each is left on a line of its own.
        for bar in self._bars.values():
            bar.close()

    def show(self, course: Course) -> None:
        for name, position in course.steps.items():
            bar = self._bars[name]
            bar.total, bar.n = position.total, position.done
            bar.set_description_str(described(name, position), refresh=False)
            bar.refresh()

    def say(self, line: str) -> None:
        tqdm.write(line, file=sys.stderr)


class Lines:
    """A line whenever a step does something else."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def show(self, course: Course) -> None:
        for name, position in course.steps.items():
            if self._said.get(name, Position.text) != position.text:
                self.say(described(name, position))
            self._said[name] = position.text

    def say(self, line: str) -> None:
        print(line.rstrip(), file=sys.stderr, flush=True)  # noqa: T201


def described(name: str, position: Position) -> str:
    """A step, what it does, and for how long."""
    taken = "" if position.seconds is None else seconds(position.seconds)
    return f"{name:<16}{position.text[:32]:<32}{taken:>9}"


def timings(found: list[StepTiming]) -> str:
    """How long each step waited for a worker, and worked."""
    rows = []
    for each in found:
        whole = (each.finished - each.started).total_seconds()
        worked = whole if each.processing_time_ms is None else each.processing_time_ms / 1000
        rows.append([each.step, str(each.attempts), seconds(max(0.0, whole - worked)), seconds(worked), seconds(whole)])
    if found:
        whole = (max(each.finished for each in found) - min(each.started for each in found)).total_seconds()
        rows.append(["all", "", "", "", seconds(whole)])
    return table(["step", " attempts", " waited", " worked", " together"], rows)
