"""Short-sleeved tops, drawn wherever their seams lie."""

from dataclasses import dataclass
from itertools import pairwise
from math import atan2, degrees, sin
from typing import Literal

from PIL import Image

from drawings.pen import (
    CURVE_STEPS,
    SHADOW,
    WHITE,
    Colour,
    Outline,
    Pen,
    Point,
    along,
    arc,
    curve,
    limb,
    mix,
    symmetric,
)

Pattern = Literal["plain", "stripes", "dots", "columns", "print", "checks", "triangles"]


@dataclass(frozen=True)
class Garment:
    """A short-sleeved top: what it is made of and sewn into, wherever it lies."""

    colour: Colour
    second_colour: Colour  # of the stripes or dots
    trim: Colour  # of the collar, the cuffs and the buttons' placket
    pattern: Pattern
    collar: Literal["crew", "polo"]


@dataclass(frozen=True)
class Cuff:
    """The two corners of a sleeve's opening."""

    outer: Point
    inner: Point


@dataclass(frozen=True)
class Fit:
    """Where a top's seams lie, flat or on a body: points of one half, in cm outwards from its middle and downwards."""

    neck: Point
    neck_depth: float
    shoulder: Point
    armpit: Point
    waist: Point
    hem: Point
    sleeve_bow: float  # how far a sleeve's upper edge bulges, as a share of its length
    cuffs: tuple[Cuff, Cuff]  # left and right in the picture


def fabric(pen: Pen, garment: Garment) -> Image.Image:
    """The garment's cloth over the whole image, its pattern lying straight in the pen's frame."""
    cloth = pen.on(Image.new("RGBA", pen.image.size, garment.colour))
    reach = 70  # cm: past the edges of any top
    if garment.pattern == "stripes":
        ripple = [(float(x), 0.3 * sin(x / 6)) for x in range(-reach, reach + 1)]
        for y in range(-reach, reach, 5):
            band = [*((x, y + dy) for x, dy in ripple), *((x, y + dy + 2.2) for x, dy in reversed(ripple))]
            cloth.fill(band, garment.second_colour)
    elif garment.pattern == "dots":
        for row, y in enumerate(range(-reach, reach, 3)):
            for x in range(-reach, reach, 6):
                cloth.fill(arc((x + 3 * (row % 2), y), 0.75, 0.75), garment.second_colour)
    elif garment.pattern in ("columns", "checks"):
        for x in range(-reach, reach, 7):
            cloth.fill([(x, -reach), (x + 3, -reach), (x + 3, reach), (x, reach)], garment.second_colour)
            if garment.pattern == "checks":
                cloth.fill([(-reach, x), (-reach, x + 3), (reach, x + 3), (reach, x)], garment.second_colour)
    elif garment.pattern == "triangles":
        for row, y in enumerate(range(-reach, reach, 6)):
            for x in range(-reach, reach, 8):
                left = x + 4 * (row % 2)
                cloth.fill([(left, y + 4), (left + 4.5, y + 4), (left + 2.25, y)], garment.second_colour)
    elif garment.pattern == "print":
        cloth.fill(arc((0, 26), 8, 8), garment.second_colour)
        cloth.fill(arc((0, 26), 5, 5), garment.colour)
    return cloth.image


def armhole(fit: Fit) -> Outline:
    """The seam between body and sleeve, from the shoulder down."""
    (x0, y0), (x1, y1) = fit.shoulder, fit.armpit
    return curve(fit.shoulder, (min(x0, x1) - 1.2, y0 * 0.45 + y1 * 0.55), fit.armpit)


def neckline(fit: Fit, lower: float = 0) -> Outline:
    """The front edge of the neck opening from right to left, or a line some cm outside it."""
    return arc((0, fit.neck[1] + lower * 0.4), fit.neck[0] + lower, fit.neck_depth + lower * 0.6, 0, 180)


def draw_inside(pen: Pen, garment: Garment, fit: Fit) -> None:
    """The inside of the back, which the neck opening of an empty top shows."""
    half, y = fit.neck
    rise = 2.2 if garment.collar == "polo" else -0.9  # a turned-down collar stands up at the back, a ribbing sags
    top = curve((-half - 2, y + 0.6), (-half + 0.4, y - 0.3), (0, y - rise), (half - 0.4, y - 0.3), (half + 2, y + 0.6))
    pen.fill([*top, *neckline(fit, 0.6)], mix(garment.colour, SHADOW, 0.4))
    pen.fill([*top, *((px, py + 2.4) for px, py in reversed(top))], mix(garment.trim, SHADOW, 0.18))
    label = y - rise + 2.4
    pen.fill([(-1.6, label), (1.6, label), (1.6, label + 2.2), (-1.6, label + 2.2)], mix(WHITE, SHADOW, 0.06))


def draw_body(pen: Pen, garment: Garment, fit: Fit) -> None:
    x, y = fit.hem
    half = [*armhole(fit), *curve(fit.armpit, fit.waist, fit.hem), *curve(fit.hem, (x * 0.5, y + 0.9), (0, y + 1.1))]
    pen.paint([*reversed(neckline(fit)), *symmetric(half)], fabric(pen.at((0, fit.neck[1])), garment))
    pen.seam([(-x, y - 2.2), (0, y - 1.1), (x, y - 2.2)])
    (chest, chest_y), (waist, waist_y) = fit.armpit, fit.waist
    # Each crease falls from where the cloth is held, and only some have a counterpart: symmetry looks embossed.
    for crease in (
        [(chest, chest_y + 1), (chest - 5, chest_y + 5), (chest - 12, chest_y + 7)],
        [(-chest, chest_y + 1), (-chest + 4, chest_y + 6), (-chest + 9, chest_y + 9)],
        [(chest - 1, chest_y + 4), (chest - 4, chest_y + 12), (chest - 9, chest_y + 18)],
        [(-waist, waist_y - 1), (-waist + 6, waist_y + 2), (-waist + 12, waist_y + 1)],
        [(waist, waist_y + 3), (waist - 5, waist_y + 5), (waist - 9, waist_y + 5)],
        [(-x + 7, y), (-x + 8, y - 9), (-x + 12, y - 17)],
    ):
        draw_crease(pen, garment, crease)
    for side in pen.sides():
        side.shade(limb([fit.armpit, fit.waist, fit.hem], [1.4] * 3), SHADOW, 0.22, 1.4)


def draw_crease(pen: Pen, garment: Garment, path: Outline) -> None:
    """A fold of the cloth that runs out towards the path's end: a shaded hollow below a lit ridge."""
    pen.shade(limb([(x, y - 1.4) for x, y in path], [0.7, 0.6, 0.1]), mix(garment.colour, WHITE, 0.4), 0.3, 0.6)
    pen.shade(limb(path, [0.7, 0.6, 0.1]), SHADOW, 0.24, 0.6)


def draw_sleeve(pen: Pen, garment: Garment, fit: Fit, cuff: Cuff) -> None:
    (x0, y0), (x1, y1), (x2, y2) = cuff.inner, cuff.outer, fit.shoulder
    tilt = degrees(atan2(y1 - y0, x1 - x0))  # of a frame whose x axis runs along the cuff, as the cloth's threads do
    rounding = ((x1 + x2) / 2 + (y1 - y2) * fit.sleeve_bow, (y1 + y2) / 2 - (x1 - x2) * fit.sleeve_bow)
    # The neck is only there to let the edge leave the shoulder in the direction of the body's.
    top = curve(fit.neck, fit.shoulder, rounding, cuff.outer)[CURVE_STEPS:]
    middle = along(((x0 + x1) / 2, (y0 + y1) / 2), -tilt, 0.7)
    opening = curve(cuff.outer, middle, cuff.inner)
    hem = [along(point, 180 - tilt, 2) for point in opening]
    pen.shade(limb([fit.armpit, cuff.inner], [0.5, 0.5]), SHADOW, 0.3, 0.5)
    pen.paint([*top, *opening, *reversed(armhole(fit))], fabric(pen.at(fit.shoulder, tilt), garment))
    pen.fill([*opening, *reversed(hem)], mix(garment.trim, SHADOW, 0.05))
    for seam in (armhole(fit), hem):
        pen.seam(seam[::4])
    pen.shade(limb([fit.armpit, cuff.inner], [1.1, 1.3]), SHADOW, 0.22, 1.1)


def draw_crew_collar(pen: Pen, garment: Garment, fit: Fit) -> None:
    edge = neckline(fit, 2.3)
    pen.fill([*neckline(fit), *reversed(edge)], mix(garment.trim, SHADOW, 0.04))
    pen.seam(edge[::4])


def draw_polo_collar(pen: Pen, garment: Garment, fit: Fit) -> None:
    half, y = fit.neck
    bottom = y + fit.neck_depth
    placket = [(-1.7, bottom), (1.7, bottom), (1.7, bottom + 16), (-1.7, bottom + 16)]
    pen.fill(placket, garment.trim)
    for edge in pairwise([*placket[1:], placket[0]]):
        pen.seam(edge)
    for step in range(3):
        button = (0, bottom + 4.5 + 4.4 * step)
        pen.shade(arc((0.1, button[1] + 0.2), 0.8, 0.8), SHADOW, 0.6, 0.15)
        pen.fill(arc(button, 0.72, 0.72), WHITE)
        pen.fill(arc(button, 0.2, 0.2), mix(garment.trim, WHITE, 0.4))
    shoulder, centre, tip = (half - 0.4, y - 0.3), (0.2, bottom + 0.4), (7.8, bottom + 5.6)
    leaf = [
        *curve(shoulder, (half * 0.72, y + fit.neck_depth * 0.62), centre),
        *curve(centre, (3.6, bottom + 3.2), tip),
        *curve(tip, (half + 1.7, y + 6), (half + 2, y + 0.6)),
    ]
    for side in pen.sides():
        side.shade([(px, py + 0.6) for px, py in leaf], SHADOW, 0.5, 0.5)
        side.fill(leaf, garment.trim)
        side.seam(leaf[::3])


def draw_top(pen: Pen, garment: Garment, fit: Fit) -> None:
    draw_body(pen, garment, fit)
    for side, cuff in zip(pen.sides(), fit.cuffs, strict=True):
        draw_sleeve(side, garment, fit, cuff)
    if garment.collar == "polo":
        draw_polo_collar(pen, garment, fit)
    else:
        draw_crew_collar(pen, garment, fit)
