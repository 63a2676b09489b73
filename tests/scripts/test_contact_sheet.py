"""The sheet has every picture whole, in its row, and something to read below it."""

import numpy as np
import pytest
from contact_sheet import CAPTION, HEIGHT, MARGIN, PAPER, contact_sheet
from PIL import Image

RED, BLUE = (200, 0, 0), (0, 0, 200)


def plain(size: tuple[int, int], colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", size, colour)


def test_pictures_of_all_sizes_stand_in_rows() -> None:
    tall, small, wide = plain((400, 800), RED), plain((50, 50), BLUE), plain((960, 480), BLUE)
    sheet = contact_sheet([[("tall", tall), ("small", small)], [("wide", wide)]])
    assert sheet.size == (960 + HEIGHT + 3 * MARGIN, 2 * (HEIGHT + CAPTION + MARGIN) + MARGIN)
    pixels = np.asarray(sheet)
    assert (pixels == RED).all(axis=2).sum() == HEIGHT * HEIGHT // 2
    assert (pixels == BLUE).all(axis=2).sum() == HEIGHT * HEIGHT + 2 * HEIGHT * HEIGHT
    assert (pixels[:MARGIN] == PAPER).all()


def test_a_caption_is_below_its_picture() -> None:
    with_words, without = (contact_sheet([[(text, plain((10, 10), RED))]]) for text in ("person", ""))
    changed = np.argwhere((np.asarray(with_words) != np.asarray(without)).any(axis=2))
    assert len(changed) > 50
    top, bottom = changed[:, 0].min(), changed[:, 0].max()
    assert top >= MARGIN + HEIGHT
    assert bottom < MARGIN + HEIGHT + CAPTION
    assert changed[:, 1].mean() == pytest.approx(with_words.width / 2, abs=2)


def test_pictures_of_other_modes() -> None:
    contact_sheet([[("grey", Image.new("L", (8, 8))), ("see-through", Image.new("RGBA", (8, 8)))]])
