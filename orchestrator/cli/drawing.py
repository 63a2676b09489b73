"""How try-ons look while they go on: bars on a terminal, lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Never, Protocol, Self

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from orchestrator.cli.crowd import CrowdBars, CrowdLines
from orchestrator.cli.followed import Followed
from orchestrator.cli.tables import seconds
from orchestrator.course import Position
from orchestrator.steps import STEPS

PATIENCE_SECONDS = 10.0
"""After so long without an orchestrator one is told where to look."""


class View(Protocol):
    """Shows try-ons, again and again."""

    def show(self, tryons: Sequence[Followed]) -> None: ...

    def say(self, line: str) -> None: ...


def watch(tryons: Sequence[Followed], moments: Iterable[None]) -> None:
    """Show how they go, at each of the moments."""
    started, told = time.monotonic(), False
    with _view(tryons) as view:
        view.show(tryons)
        for _ in moments:
            view.show(tryons)
            if not told and time.monotonic() - started > PATIENCE_SECONDS and not any(each.begun for each in tryons):
                told = True
                view.say("No orchestrator has taken it yet. It waits in Kafka; `vtryon doctor` says who is there.")


@contextmanager
def _view(tryons: Sequence[Followed]) -> Iterator[View]:
    one = len(tryons) == 1
    if sys.stderr.isatty():
        with Bars() if one else CrowdBars(len(tryons)) as bars, logging_redirect_tqdm():
            yield bars
    else:
        yield Lines() if one else CrowdLines()


class Bars:
    """Of one try-on, a bar for each step, one below the other."""

    def __init__(self) -> None:
        self._bars: dict[str, tqdm[Never]] = {}

    def __enter__(self) -> Self:
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

    def show(self, tryons: Sequence[Followed]) -> None:
        for name, position in tryons[0].course.steps.items():
            bar = self._bars[name]
            bar.total, bar.n = position.total or 1, position.done
            bar.set_description_str(described(name, position), refresh=False)
            bar.refresh()

    def say(self, line: str) -> None:
        tqdm.write(line, file=sys.stderr)


class Lines:
    """Of one try-on, a line whenever a step does something else."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def show(self, tryons: Sequence[Followed]) -> None:
        for name, position in tryons[0].course.steps.items():
            if self._said.get(name, Position().text) != position.text:
                self.say(described(name, position))
            self._said[name] = position.text

    def say(self, line: str) -> None:
        print(line.rstrip(), file=sys.stderr, flush=True)  # noqa: T201


def described(name: str, position: Position) -> str:
    """A step, what it does, and for how long."""
    taken = "" if position.seconds is None else seconds(position.seconds)
    return f"{name:<16}{position.text[:32]:<32}{taken:>9}"
