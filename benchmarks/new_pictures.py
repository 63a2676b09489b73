"""People and garments that nobody has seen before: the examples with every pixel moved a little.

They differ from run to run too, so that nothing that an earlier run left behind can know them.
"""

from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PERSON, GARMENT = EXAMPLES / "person_masked.png", EXAMPLES / "garment.png"
MOST = 3
"""Levels of 255 that a pixel moves up or down: less than a JPEG's own noise."""
GREEN = (0, 255, 0)
"""The mask in the person's picture stays what it is."""


class NewPictures:
    """Makes them in a folder."""

    def __init__(self, folder: Path, seed: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._random = np.random.default_rng(seed)
        self._count = 0

    def person(self) -> Path:
        return self._changed(PERSON)

    def garment(self) -> Path:
        return self._changed(GARMENT)

    def _changed(self, example: Path) -> Path:
        with Image.open(example) as opened:
            pixels = np.asarray(opened.convert("RGB"))
        moved = pixels.astype(np.int16) + self._random.integers(-MOST, MOST, pixels.shape, np.int16, endpoint=True)
        kept = np.all(pixels == GREEN, axis=2, keepdims=True)
        self._count += 1
        file = self._folder / f"{example.stem}-{self._count:04}.png"
        Image.fromarray(np.where(kept, pixels, moved.clip(0, 255)).astype(np.uint8)).save(file, compress_level=1)
        return file
