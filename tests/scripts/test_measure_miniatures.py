"""What the measuring command asks for and how it judges; that it runs is seen when it is run, for an hour."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
from drawings.dressing import PATTERNS, SIZES, draw_lots, some_garment
from drawings.painted import PAINTED
from measure_miniatures import MEGAPIXELS, _drawn_cases, _row, _verdict
from miniatures.drawn import drawn_of
from miniatures.quality import Quality

GOOD = Quality(outside=30, inside=25, colour=2)


def test_every_shape_comes_at_both_sizes() -> None:
    cases = _drawn_cases([Path(f"drawn_{seed}.npz") for seed in range(12)])
    assert {(n % len(SIZES), case.megapixels) for n, case in enumerate(cases)} == {
        (shape, megapixels) for shape in range(3) for megapixels in MEGAPIXELS
    }


@pytest.mark.parametrize(
    ("worse", "count", "good"),
    [
        (Quality(outside=20, inside=25, colour=2), 49, True),  # the median counts
        (Quality(outside=20, inside=25, colour=2), 51, False),
        (Quality(outside=30, inside=10, colour=2), 51, False),
        (Quality(outside=30, inside=25, colour=20), 5, True),
        (Quality(outside=30, inside=25, colour=20), 6, False),
    ],
)
def test_the_verdict_is_that_of_medians_and_of_colours(worse: Quality, count: int, good: bool) -> None:
    text, judged = _verdict([worse] * count + [GOOD] * (100 - count))
    assert judged is good
    assert ("NOT" in text) is not good


def test_a_row_says_how_many_are_good() -> None:
    assert _row("all", [GOOD, Quality(outside=20, inside=25, colour=2)])[0].endswith("| 1 of 2 |")
    assert _row("none", []) == []


@pytest.mark.parametrize("kind", PAINTED)
def test_what_is_painted_by_hand_lies_on_its_garment(kind: str) -> None:
    chance = Random(kind)
    person, garment = draw_lots(chance, False), some_garment(chance, PATTERNS)
    drawn = drawn_of(PAINTED[kind](person, garment, SIZES[0], (412, 120), 1))
    assert 0.005 < drawn.area.mean() < 0.3
    ground = (np.abs(drawn.garment.astype(int) - (238, 239, 240)).max(axis=2) < 8) & drawn.area
    assert ground.sum() < 0.1 * drawn.area.sum()
