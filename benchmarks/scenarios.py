"""What the sides are asked for: the same try-ons, in the order in which shops and their customers ask for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from new_pictures import NewPictures


@dataclass(frozen=True)
class Asked:
    """One try-on. Its number names it on all sides."""

    number: int
    person: Path
    garment: Path
    seed: int
    megapixels: float
    steps: int


@dataclass(frozen=True)
class Size:
    megapixels: float
    steps: int


Series = Callable[[NewPictures], Iterator[tuple[Path, Path, int]]]
"""Person, garment and seed of one try-on after the other, without end."""


def new_people(pictures: NewPictures) -> Iterator[tuple[Path, Path, int]]:
    """Many people try one garment on."""
    garment = pictures.garment()
    while True:
        yield pictures.person(), garment, 7


def garments(pictures: NewPictures) -> Iterator[tuple[Path, Path, int]]:
    """One person tries many garments on."""
    person = pictures.person()
    while True:
        yield person, pictures.garment(), 7


def all_new(pictures: NewPictures) -> Iterator[tuple[Path, Path, int]]:
    while True:
        yield pictures.person(), pictures.garment(), 7


def another_seed(pictures: NewPictures) -> Iterator[tuple[Path, Path, int]]:
    """The same once more, as somebody does who does not like what came out."""
    person, garment = pictures.person(), pictures.garment()
    for seed in count(1):
        yield person, garment, seed


SCENARIOS: dict[str, Series] = {
    "new people": new_people,
    "garments": garments,
    "all new": all_new,
    "another seed": another_seed,
}

_numbers = count(1)


@dataclass(frozen=True)
class Round:
    """What every side does in turn: one that is not counted, some one by one, the rest all at once."""

    scenario: str
    size: Size
    opening: Asked
    singles: list[Asked]
    queued: list[Asked]


def make_round(scenario: str, size: Size, singles: int, queued: int, pictures: NewPictures) -> Round:
    """Its pictures are written here, before anything is measured."""
    series = SCENARIOS[scenario](pictures)

    def take(some: int) -> list[Asked]:
        return [Asked(next(_numbers), *next(series), size.megapixels, size.steps) for _ in range(some)]

    return Round(scenario, size, take(1)[0], take(singles), take(queued))
