"""Sides that are only played: what is done in which order, what is counted, and what is not let pass."""

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from comparison import Comparison, compare, order
from new_pictures import NewPictures
from PIL import Image
from report import rest_line, rows, stages_table, table
from scenarios import Asked, Round, Size, make_round
from sides import SIDES, Done, World


class Played:
    """Takes as long as it says and paints the number of the try-on."""

    def __init__(self, folder: Path, milliseconds: float, brightness: int) -> None:
        self.folder, self.milliseconds, self.brightness = folder, milliseconds, brightness

    def do(self, asked: Sequence[Asked]) -> Done:
        pictures = {each.number: self.folder / f"{each.number}.png" for each in asked}
        for number, file in pictures.items():
            Image.new("RGB", (2, 2), (number % 256, self.brightness, 0)).save(file)
        alone = len(asked) == 1
        stages = {"sampling": self.milliseconds * 0.8} if alone else {}
        return Done(self.milliseconds * len(asked), pictures, self.milliseconds * 0.9 if alone else None, stages)

    def parts(self) -> dict[str, list[int]]:
        return {"worker": [os.getpid()]}

    def gpu_mb(self) -> dict[str, float]:
        return {}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, tmp_path, tmp_path, [], {})


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two sides, the second four times as fast; what is started and stopped."""
    told: list[str] = []

    def play(name: str, milliseconds: float) -> None:
        @contextmanager
        def side(world: World) -> Iterator[Played]:
            told.append(f"{name} starts")
            yield Played(world.of(name), milliseconds, 1)
            told.append(f"{name} stops")

        monkeypatch.setitem(SIDES, name, side)

    play("slow", 400)
    play("fast", 100)
    return told


class NoPictures(NewPictures):
    """Who plays looks at none."""

    def __init__(self) -> None:
        pass

    def person(self) -> Path:
        return Path("person.png")

    def garment(self) -> Path:
        return Path("garment.png")


def two_rounds() -> list[Round]:
    return [make_round(name, Size(0.25, 4), 2, 4, NoPictures()) for name in ("all new", "another seed")]


def test_figures(world: World, events: list[str]) -> None:
    found = compare(world, ["slow", "fast"], [two_rounds()] * 2, rest_seconds=0.01)
    assert found.pictures.different() == []
    assert found.pictures.compared() == 2 * (1 + 2 + 4)
    shown = rows(found, ["slow", "fast"])
    assert [(row["scenario"], row["side"]) for row in shown] == list(
        itertools.product(("all new", "another seed"), ("slow", "fast"))
    )
    fast = shown[1]
    assert (fast["alone p50 ms"], fast["queued a second"]) == (100, 10)
    assert (fast["alone ratio"], fast["queued ratio"]) == (4, 4)
    assert (fast["overhead p50 ms"], fast["overhead %"]) == (pytest.approx(10), pytest.approx(10))
    assert "4.00" in table(shown, "slow")
    assert "80" in stages_table(shown)
    assert "fast (worker " in rest_line(found)


def test_a_pixel_that_differs_is_told(world: World, events: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def brighter(world: World) -> Iterator[Played]:
        yield Played(world.of("brighter"), 100, 2)

    monkeypatch.setitem(SIDES, "fast", brighter)
    rounds = two_rounds()[:1]
    found = compare(world, ["slow", "fast"], [rounds])
    assert len(found.pictures.different()) == 7


@pytest.mark.parametrize("by_side", [False, True])
def test_one_side_is_up_at_a_time(world: World, events: list[str], by_side: bool) -> None:
    found = compare(world, ["slow", "fast"], [two_rounds()], by_side=by_side)
    slow, fast = ["slow starts", "slow stops"], ["fast starts", "fast stops"]
    assert events == ([*slow, *fast] if by_side else [*slow, *fast, *slow])
    assert len(found.start_seconds["slow"]) == (1 if by_side else 2)


def test_or_all_are(world: World, events: list[str]) -> None:
    compare(world, ["slow", "fast"], [two_rounds()], all_up=True)
    assert events == ["slow starts", "fast starts", "fast stops", "slow stops"]


def test_what_the_time_does_not_do_for(world: World, events: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found: Comparison = compare(world, ["slow", "fast"], [two_rounds()], seconds=-1)
    assert found.cells == {}
    assert "4 of 4 are left out" in capsys.readouterr().err


def test_no_side_is_always_the_first() -> None:
    firsts = [side for _, side in order(two_rounds(), ["a", "b"], by_side=False)]
    assert firsts == ["a", "b", "b", "a"]
