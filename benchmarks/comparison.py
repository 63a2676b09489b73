"""Has every side do the same and notes what it took, the sides interleaved; all pictures have to be the same ones."""

import hashlib
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from footprint import Peak, cpu_seconds
from PIL import Image
from scenarios import Asked, Round
from sides import SIDES, Done, Side, World, processes_of


@dataclass
class Cell:
    """What one side was measured to take for one scenario at one size."""

    alone: list[Done] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)
    """Try-ons, several being queued."""
    cpu_seconds: list[float] = field(default_factory=list)
    """Of one try-on."""
    peak_mb: float = 0.0


Key = tuple[str, float, str]
"""Scenario, megapixels and side."""


class Pictures:
    """What each side made of each try-on, by the digest of its pixels."""

    def __init__(self) -> None:
        self._made: dict[int, dict[str, str]] = {}

    def add(self, side: str, done: Done) -> None:
        for number, file in done.pictures.items():
            self._made.setdefault(number, {})[side] = digest(file)

    def different(self) -> list[str]:
        """A line for each try-on that is not the same on all sides."""
        return [
            f"try-on {number}: {', '.join(f'{side} {digest[:8]}' for side, digest in made.items())}"
            for number, made in sorted(self._made.items())
            if len(set(made.values())) > 1
        ]

    def compared(self) -> int:
        return sum(len(made) > 1 for made in self._made.values())


def digest(file: Path) -> str:
    with Image.open(file) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


class Running:
    """The one side that is up: others, even at rest, would take of the machine what is measured. Or all of them, where
    that is to change between sides as little as may be."""

    def __init__(self, world: World, all_up: bool) -> None:
        self._world, self._all_up = world, all_up
        self._stack = ExitStack()
        self._up: dict[str, Side] = {}
        self.start_seconds: dict[str, list[float]] = {}

    def get(self, name: str) -> Side:
        if name not in self._up:
            if not self._all_up:
                self.stop()
            began = time.perf_counter()
            self._up[name] = self._stack.enter_context(SIDES[name](self._world))
            self.start_seconds.setdefault(name, []).append(time.perf_counter() - began)
        return self._up[name]

    def stop(self) -> None:
        self._up.clear()
        self._stack.close()

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


@dataclass
class Comparison:
    """Everything that was found out."""

    cells: dict[Key, Cell] = field(default_factory=dict)
    rest: dict[str, dict[str, float]] = field(default_factory=dict)
    """Percent of a core that each part of each side takes with nothing to do."""
    pictures: Pictures = field(default_factory=Pictures)
    start_seconds: dict[str, list[float]] = field(default_factory=dict)
    """Until it takes requests."""
    opening_ms: dict[str, float] = field(default_factory=dict)
    """The first try-on of each side, for which some load their models."""
    gpu_mb: dict[str, dict[str, float]] = field(default_factory=dict)
    """What each side held at its end."""


def order(rounds: Sequence[Round], names: Sequence[str], by_side: bool) -> Iterator[tuple[Round, str]]:
    """Side after side for each round, every second time the other way round, so that none is always the first. Or all
    rounds of a side in a row, where starting one takes long."""
    if by_side:
        yield from ((each, name) for name in names for each in rounds)
        return
    for number, each in enumerate(rounds):
        yield from ((each, name) for name in (names if number % 2 == 0 else reversed(names)))


def compare(
    world: World,
    names: Sequence[str],
    passes: Sequence[Sequence[Round]],
    by_side: bool = False,
    all_up: bool = False,
    rest_seconds: float = 0.0,
    seconds: float = float("inf"),
) -> Comparison:
    """All rounds of all passes on all sides, one side after the other. What would take longer than `seconds`, going by
    the longest until then, is left out."""
    found = Comparison()
    plan = [
        step
        for number, rounds in enumerate(passes)
        for step in order(rounds, names if number % 2 == 0 else names[::-1], by_side)
    ]
    began, longest = time.perf_counter(), 0.0
    with Running(world, all_up) as running:
        found.start_seconds = running.start_seconds
        for number, (each, name) in enumerate(plan, start=1):
            begin = time.perf_counter()
            if begin + longest > began + seconds:
                say(f"the time is over: {len(plan) - number + 1} of {len(plan)} are left out")
                break
            side = running.get(name)
            cell = found.cells.setdefault((each.scenario, each.size.megapixels, name), Cell())
            measure(each, name, side, cell, found)
            if rest_seconds and name not in found.rest:
                found.rest[name] = at_rest(side, rest_seconds)
            found.gpu_mb[name] = side.gpu_mb()
            longest = max(longest, time.perf_counter() - begin)
            left = (time.perf_counter() - began) / number * (len(plan) - number)
            what = f"{each.scenario}, {each.size.megapixels:g} megapixels, {name}"
            say(f"{number} of {len(plan)}: {what}: {_last(cell)}; about {left / 60:.0f} min left")
    return found


def measure(each: Round, name: str, side: Side, cell: Cell, found: Comparison) -> None:
    """One round on one side."""
    opening = side.do([each.opening])
    found.opening_ms.setdefault(name, opening.wall_ms)
    found.pictures.add(name, opening)
    for single in each.singles:
        done = _done(side, [single], cell)
        cell.alone.append(done)
        found.pictures.add(name, done)
    if each.queued:
        done = _done(side, each.queued, cell)
        cell.per_second.append(len(each.queued) / done.wall_ms * 1000)
        found.pictures.add(name, done)


def _done(side: Side, asked: Sequence[Asked], cell: Cell) -> Done:
    processes = processes_of(side)
    before = cpu_seconds(processes)
    with Peak(processes) as peak:
        done = side.do(asked)
    cell.cpu_seconds += [(cpu_seconds(processes) - before) / len(asked)] * len(asked)
    cell.peak_mb = max(cell.peak_mb, peak.megabytes)
    return done


def at_rest(side: Side, seconds: float) -> dict[str, float]:
    """Percent of a core, by part."""
    before = {part: cpu_seconds(processes) for part, processes in side.parts().items()}
    time.sleep(seconds)
    after = {part: cpu_seconds(processes) for part, processes in side.parts().items()}
    return {part: (after[part] - before[part]) / seconds * 100 for part in before}


def _last(cell: Cell) -> str:
    alone = f"{cell.alone[-1].wall_ms:.0f} ms alone" if cell.alone else ""
    queued = f"{cell.per_second[-1]:.3f} a second queued" if cell.per_second else ""
    return ", ".join(part for part in (alone, queued) if part)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
