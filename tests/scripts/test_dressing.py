"""Try-ons by chance: what training and measuring rely on."""

import numpy as np
import pytest
from drawings.dressing import HELD_OUT, PATTERNS, SIZES, Dressing, draw_dressing
from PIL import Image

GREEN = (0, 255, 0)


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"))


@pytest.fixture(scope="module")
def dressing() -> Dressing:
    return draw_dressing(1, SIZES[2])


def test_the_area_is_green_and_nothing_else_is(dressing: Dressing) -> None:
    area = np.asarray(dressing.area)
    assert set(np.unique(area)) == {0, 255}
    green = (pixels(dressing.masked) == GREEN).all(axis=-1)
    assert (green == (area == 255)).all()
    assert 0.05 < green.mean() < 0.4


def test_who_is_dressed_shows_the_garment_in_the_area_and_is_the_same_outside(dressing: Dressing) -> None:
    inside = np.asarray(dressing.area) == 255
    dressed = pixels(dressing.dressed)
    assert (dressed[inside] == pixels(dressing.garment)[inside]).all()
    assert (dressed[~inside] == pixels(dressing.person)[~inside]).all()


def test_a_seed_gives_one_try_on_and_another_seed_another(dressing: Dressing) -> None:
    again, other = draw_dressing(1, SIZES[2]), draw_dressing(2, SIZES[2])
    assert (pixels(again.dressed) == pixels(dressing.dressed)).all()
    assert (pixels(other.person) != pixels(dressing.person)).any()
    assert (pixels(other.garment) != pixels(dressing.garment)).any()


def test_what_is_held_out_is_drawn_for_no_other_seed() -> None:
    assert not set(HELD_OUT) & set(PATTERNS)
    assert len(HELD_OUT) == 2
