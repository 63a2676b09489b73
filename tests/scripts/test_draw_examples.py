"""The pictures in examples/ are what the script draws, and the green area is the only thing that the mask changes."""

from pathlib import Path

import draw_examples
import numpy as np
import pytest
from PIL import Image


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def test_the_script_draws_them(examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["draw_examples.py", "--output", str(tmp_path)])
    draw_examples.main()
    names = sorted(file.name for file in examples.iterdir())
    assert names == ["garment.png", "garment_2.png", "person.png", "person_masked.png"]
    assert sorted(file.name for file in tmp_path.iterdir()) == names
    for name in names:
        assert np.array_equal(pixels(tmp_path / name), pixels(examples / name)), name


def test_the_mask_paints_an_area_green_and_nothing_else(examples: Path) -> None:
    person, masked = pixels(examples / "person.png"), pixels(examples / "person_masked.png")
    green = np.all(masked == (0, 255, 0), axis=2)
    assert 0.05 < green.mean() < 0.5
    assert not np.all(person == (0, 255, 0), axis=2).any()
    assert np.array_equal(person[~green], masked[~green])
