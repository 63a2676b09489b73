"""Areas as somebody paints them by hand, and a garment for each, laid where it will be worn: a blob on a T-shirt, a
skirt over trousers, a hat above the head.
"""

import random
from collections.abc import Callable
from math import cos, radians, sin

from PIL import Image

from drawings.dressing import UNIT, Dressing, dress, far_colour, garment_laid, on_white, some_colour, wider
from drawings.garment import Garment, fabric
from drawings.pen import SHADOW, SUPERSAMPLING, Outline, Pen, Point, curve, limb, new_pen, symmetric
from drawings.person import Person, worn_fit


def paint_blob(person: Person, garment: Garment, size: tuple[int, int], origin: Point, seed: int) -> Dressing:
    """An uneven patch on the chest."""
    middle, radii = (2.0, 55.0), (13.0, 15.0)
    outline = [
        (middle[0] + radii[0] * stretch * cos(radians(angle)), middle[1] + radii[1] * stretch * sin(radians(angle)))
        for angle, stretch in zip(range(0, 360, 30), _unsteady(seed, 12, 0.14), strict=True)
    ]
    laid = garment_laid(garment, wider(worn_fit(person)), size, origin)
    return _painted(person, size, origin, seed, curve(*outline, outline[0]), laid)


def paint_skirt(person: Person, garment: Garment, size: tuple[int, int], origin: Point, seed: int) -> Dressing:
    """From the hips to above the knees, wider than the legs."""
    top, bottom = person.waist + 2, person.hips + 7

    def half(more: float, down: float) -> Outline:
        return curve((top + more, 78 - down), (person.hips + 2 + more, 90), (bottom + more, 124 + down))

    def draw(pen: Pen) -> None:
        pen.paint(symmetric(half(1.5, 1.5)), fabric(pen.at((0, 78)), garment))
        pen.fill(symmetric([(top + 1.5, 76), (top + 1.9, 80.5)]), garment.trim)
        for x in (-9, -3, 4, 10):
            pen.shade(limb([(x * 0.7, 84), (x, 104), (x * 1.4, 124)], [0.2, 0.7, 0.9]), SHADOW, 0.2, 0.8)

    unsteady = [(x + 4 * (s - 1), y) for (x, y), s in zip(half(0, 0), _unsteady(seed, 25, 0.1), strict=True)]
    return _painted(person, size, origin, seed, symmetric(unsteady), _laid(draw, size, origin))


def paint_hat(person: Person, garment: Garment, size: tuple[int, int], origin: Point, seed: int) -> Dressing:
    """A round crown on the hair and a brim beyond it."""
    crown = curve((0, -5), (6, -4.4), (9.4, 0), (10, 5.5))
    brim = curve((10, 5), (14, 5.6), (16, 7.4), (13, 9), (6, 9.4), (0, 9.5))

    def draw(pen: Pen) -> None:
        larger = [(x * 1.06, y * 1.04 - 0.4) for x, y in (*crown, *brim)]
        pen.paint(symmetric(larger), fabric(pen.at((0, -5)), garment))
        pen.fill(symmetric([*curve((0, 2), (6, 2.2), (10.6, 3)), *curve((10.8, 5.6), (6, 5), (0, 4.8))]), garment.trim)
        pen.shade(symmetric(curve((0, 8.4), (8, 8.2), (15, 7.4), (13, 9.8), (0, 10))), SHADOW, 0.3, 0.6)

    return _painted(person, size, origin, seed, symmetric([*crown, *brim]), _laid(draw, size, origin))


PAINTED: dict[str, Callable[[Person, Garment, tuple[int, int], Point, int], Dressing]] = {
    "blob": paint_blob,
    "skirt": paint_skirt,
    "hat": paint_hat,
}


def _unsteady(seed: int, count: int, by: float) -> list[float]:
    """About 1, as a hand moves."""
    chance = random.Random(f"hand {seed}")
    return [1 + chance.uniform(-by, by) for _ in range(count)]


def _painted(
    person: Person, size: tuple[int, int], origin: Point, seed: int, outline: Outline, garment: Image.Image
) -> Dressing:
    chance = random.Random(f"room {seed}")
    wall = some_colour(chance)
    dressed = dress(person, person.top, size, origin, (wall, far_colour(chance, wall)))
    pen = new_pen(size, origin, UNIT)
    stencil, box = pen.stencil(outline)
    whole = Image.new("L", pen.image.size)
    whole.paste(stencil, box[:2])
    return Dressing(dressed.person, whole.reduce(SUPERSAMPLING).point([0] + [255] * 255), garment)


def _laid(draw: Callable[[Pen], None], size: tuple[int, int], origin: Point) -> Image.Image:
    pen = new_pen(size, origin, UNIT)
    draw(pen)
    return on_white(pen)
