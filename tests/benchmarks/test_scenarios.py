"""What the scenarios ask for, and that their pictures are new."""

from pathlib import Path

import numpy as np
import pytest
from new_pictures import GREEN, MOST, PERSON, NewPictures
from PIL import Image
from scenarios import SCENARIOS, Asked, Size, make_round


@pytest.fixture
def pictures(tmp_path: Path) -> NewPictures:
    return NewPictures(tmp_path / "pictures", seed=1)


def pixels(file: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(file) as opened:
        return np.asarray(opened.convert("RGB"))


def test_pictures_are_new_but_hardly_other_ones(pictures: NewPictures) -> None:
    first, second, example = pixels(pictures.person()), pixels(pictures.person()), pixels(PERSON)
    changed = np.any(first != second, axis=2)
    mask = np.all(example == GREEN, axis=2)
    assert np.abs(first.astype(int) - example).max() == MOST
    assert not changed[mask].any()
    assert changed[~mask].mean() > 0.9


def test_without_a_seed_every_run_has_others(tmp_path: Path) -> None:
    a, b = (pixels(NewPictures(tmp_path / name).garment()) for name in "ab")
    assert not np.array_equal(a, b)


@pytest.mark.parametrize(
    ("scenario", "people", "garments", "seeds"),
    [("new people", 6, 1, 1), ("garments", 1, 6, 1), ("all new", 6, 6, 1), ("another seed", 1, 1, 6)],
)
def test_what_is_new_in_each(pictures: NewPictures, scenario: str, people: int, garments: int, seeds: int) -> None:
    asked = make_round(scenario, Size(0.25, 4), 2, 3, pictures)
    tryons: list[Asked] = [asked.opening, *asked.singles, *asked.queued]
    assert (len(asked.singles), len(asked.queued)) == (2, 3)
    assert len({each.number for each in tryons}) == 6
    assert len({each.person for each in tryons}) == people
    assert len({each.garment for each in tryons}) == garments
    assert len({each.seed for each in tryons}) == seeds
    assert {(each.megapixels, each.steps) for each in tryons} == {(0.25, 4)}


def test_every_scenario_is_tested() -> None:
    assert SCENARIOS.keys() == {"new people", "garments", "all new", "another seed"}
