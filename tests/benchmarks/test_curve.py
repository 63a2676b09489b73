"""The curve is a picture with the points in it."""

from pathlib import Path

import numpy as np
from curve import HEIGHT, LINE, WIDTH, Curve, draw
from PIL import Image, ImageColor


def test_points_are_where_they_belong(tmp_path: Path) -> None:
    file = tmp_path / "docs" / "curve.png"
    draw(file, [(1, 5.0), (8, 30.0)], "try-ons a second")
    with Image.open(file) as opened:
        assert opened.size == (WIDTH, HEIGHT)
        pixels = np.asarray(opened.convert("RGB")).astype(int)
    across, down = (round(value / 2) for value in Curve(8 * 1.05, 40 * 1.1).place(8, 30.0))
    assert np.abs(pixels[down, across] - ImageColor.getrgb(LINE)).max() < 20
