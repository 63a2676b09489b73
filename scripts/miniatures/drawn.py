"""The drawings that the miniatures are trained on, drawn once and kept."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from drawings.dressing import SIZES, Dressing, draw_dressing
from drawings.picture import GREEN
from tqdm import tqdm

Picture = np.ndarray
"""Bytes: height, width, red green blue."""


@dataclass(frozen=True)
class Drawn:
    """A try-on as arrays. The pictures are of one size."""

    person: Picture
    area: np.ndarray
    """Whether a pixel is to be dressed."""
    garment: Picture

    def write(self, file: Path) -> None:
        unfinished = file.with_suffix(".part.npz")
        np.savez(unfinished, person=self.person, area=self.area, garment=self.garment)
        unfinished.rename(file)

    @property
    def masked(self) -> Picture:
        return np.where(self.area[..., None], np.array(GREEN, np.uint8), self.person)

    @property
    def dressed(self) -> Picture:
        return np.where(self.area[..., None], self.garment, self.person)


def draw_all(folder: Path, seeds: Iterable[int], *, held_out: bool = False, processes: int = 2) -> list[Path]:
    """The files of these seeds, each drawn unless it is there. Portrait, landscape and square take turns."""
    files = {seed: folder / f"{'held_out' if held_out else 'drawn'}_{seed}.npz" for seed in seeds}
    missing = [(file, seed, held_out) for seed, file in files.items() if not file.exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        # Spawned, because a fork of a process in which PyTorch has threads may hang.
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            for _ in tqdm(pool.map(_draw, missing), "drawing", len(missing), unit="try-on"):
                pass
    return list(files.values())


def read(file: Path) -> Drawn:
    with np.load(file) as arrays:
        return Drawn(arrays["person"], arrays["area"], arrays["garment"])


def shapes_of(drawn: Drawn) -> Iterator[Picture]:
    """What a model meets of a try-on: three pictures, each whole and at half its size."""
    for picture in (drawn.masked, drawn.garment, drawn.dressed):
        yield picture
        yield halved(picture)


def halved(picture: Picture) -> Picture:
    """Half as high and as wide: the mean of every four pixels."""
    height, width = (side // 2 for side in picture.shape[:2])
    fours: np.ndarray = picture[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1).astype(np.float32)
    small: Picture = fours.mean((1, 3)).round().astype(np.uint8)
    return small


def drawn_of(dressing: Dressing) -> Drawn:
    person, garment = (np.asarray(picture.convert("RGB")) for picture in (dressing.person, dressing.garment))
    return Drawn(person, np.asarray(dressing.area) > 0, garment)


def _draw(job: tuple[Path, int, bool]) -> None:
    file, seed, held_out = job
    drawn_of(draw_dressing(seed, SIZES[seed % len(SIZES)], held_out=held_out)).write(file)
