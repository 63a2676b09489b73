"""How many try-ons look together: one bar for each that is at work, and a count of all."""

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Never, Self

from tqdm import tqdm

from orchestrator.cli.followed import Followed
from orchestrator.cli.results import result_of
from orchestrator.cli.tables import seconds, shortened

MOST_BARS = 8
LINES_BESIDE = 3
"""Of a terminal: the count, and room for what is said above."""
NOTHING, BAR = "{desc}", "{desc} |{bar:20}|"


class CrowdBars:
    """So many bars at most: whoever ends makes room, and leaves a line above."""

    def __init__(self, tryons: int) -> None:
        room = max(1, shutil.get_terminal_size().lines - LINES_BESIDE)
        self._places: list[str | None] = [None] * min(MOST_BARS, room, tryons)
        self._bars: list[tqdm[Never]] = []
        self._ended: set[str] = set()

    def __enter__(self) -> Self:
        for number in range(len(self._places) + 1):
            bar: tqdm[Never] = tqdm(total=1, position=number, file=sys.stderr, bar_format=NOTHING, leave=False)
            self._bars.append(bar)
        return self

    def __exit__(self, *exception: object) -> None:
        for bar in reversed(self._bars):
            bar.close()

    def show(self, tryons: Sequence[Followed]) -> None:
        for each in tryons:
            if each.answer is not None and each.name not in self._ended:
                self._ended.add(each.name)
                self.say(ended(each))
        at_work = {each.name: each for each in tryons if each.begun and each.answer is None}
        self._places = _placed(self._places, list(at_work))
        for bar, name in zip(self._bars, self._places, strict=False):
            _draw(bar, None if name is None else at_work[name])
        _write(self._bars[-1], counted(tryons))

    def say(self, line: str) -> None:
        tqdm.write(line, file=sys.stderr)


class CrowdLines:
    """A line when one begins, and when one ends."""

    def __init__(self) -> None:
        self._begun: set[str] = set()
        self._ended: set[str] = set()

    def show(self, tryons: Sequence[Followed]) -> None:
        for each in tryons:
            if each.begun and each.name not in self._begun:
                self._begun.add(each.name)
                self.say(f"{_label(each)}begun")
            if each.answer is not None and each.name not in self._ended:
                self._ended.add(each.name)
                self.say(f"{ended(each)}  ({len(self._ended)} of {len(tryons)})")

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def ended(tryon: Followed) -> str:
    """How one ended, on a line."""
    assert tryon.answer is not None  # noqa: S101  asked of those only
    result = result_of(tryon.answer)
    return f"{_label(tryon)}{result.state:<12}{result.code or seconds(result.seconds)}"


def counted(tryons: Sequence[Followed]) -> str:
    """How many there are of each kind."""
    kinds = Counter(_kind(each) for each in tryons)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) + f"; {len(tryons)} in all"


def _kind(tryon: Followed) -> str:
    if tryon.answer is not None:
        return result_of(tryon.answer).state
    return "at work" if tryon.begun else "waiting"


def _placed(places: Sequence[str | None], at_work: Sequence[str]) -> list[str | None]:
    """Whoever has a place keeps it."""
    kept = [name if name in at_work else None for name in places]
    others = iter([name for name in at_work if name not in kept])
    return [name if name is not None else next(others, None) for name in kept]


def _draw(bar: "tqdm[Never]", tryon: Followed | None) -> None:
    if tryon is None:
        _write(bar, "")
        return
    steps = tryon.course.steps
    done = sum(position.done / (position.total or 1) for position in steps.values())
    running = [name for name, position in steps.items() if position.since is not None and position.until is None]
    text = f"{running[-1]}: {steps[running[-1]].text}" if running else "between two steps"
    bar.bar_format, bar.total, bar.n = BAR, len(steps), done
    _describe(bar, f"{_label(tryon)}{text[:38]:<38}")


def _write(bar: "tqdm[Never]", text: str) -> None:
    bar.bar_format = NOTHING
    _describe(bar, text)


def _describe(bar: "tqdm[Never]", text: str) -> None:
    bar.set_description_str(text, refresh=False)
    bar.refresh()


def _label(tryon: Followed) -> str:
    return f"{shortened(tryon.label, 24):<26}"
