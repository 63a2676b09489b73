"""Try-ons made up by chance: a person, a garment laid where it will be worn, and the person wearing it.

Made to train miniature models on, and to measure them on others: other seeds, HELD_OUT patterns, the pose
of `held_out`.
"""

import random
from colorsys import hsv_to_rgb
from dataclasses import dataclass, replace
from typing import get_args

from PIL import Image

from drawings.garment import Cuff, Fit, Garment, Pattern, draw_inside, draw_top
from drawings.pen import SUPERSAMPLING, Colour, Pen, Point, finish, lay_over, new_pen
from drawings.person import Arm, Person, draw_figure, worn_fit
from drawings.picture import GREEN, room

HELD_OUT: tuple[Pattern, ...] = ("checks", "triangles")
PATTERNS = tuple(pattern for pattern in get_args(Pattern) if pattern not in HELD_OUT)
SIZES = ((824, 1272), (1272, 824), (1024, 1024))
"""Portrait, landscape and square. Each has 1 megapixel, is left as it is when scaled to that, and has an even number of
tokens each way, at 1 and at 0.25 megapixel: every token at the smaller size lies on four of the larger.
"""
UNIT = 8.2  # pixels in a cm


@dataclass(frozen=True)
class Dressing:
    """All pictures are of one size; the garment is larger than the area by a margin."""

    person: Image.Image
    area: Image.Image
    """White where the person is to be dressed."""
    garment: Image.Image

    @property
    def masked(self) -> Image.Image:
        picture = self.person.copy()
        picture.paste(GREEN, mask=self.area)
        return picture

    @property
    def dressed(self) -> Image.Image:
        """What is asked for: in the area the garment as it lies, outside it the person."""
        picture = self.person.copy()
        picture.paste(self.garment, mask=self.area)
        return picture


def draw_dressing(seed: int, size: tuple[int, int], *, held_out: bool = False) -> Dressing:
    """The try-on of this seed. `held_out`: in a pattern and a pose that none of the others has."""
    chance = random.Random(f"{seed} {held_out}")
    person = draw_lots(chance, held_out)
    garment = some_garment(chance, HELD_OUT if held_out else PATTERNS)
    origin = size[0] / 2 + chance.uniform(-25, 25), max(26, size[1] / 2 - 514) + chance.uniform(-20, 20)
    return dress(person, garment, size, origin, (some_colour(chance), some_colour(chance)))


def dress(
    person: Person, garment: Garment, size: tuple[int, int], origin: Point, ground: tuple[Colour, Colour]
) -> Dressing:
    """`ground`: the colours of the wall and of the floor."""
    pen = new_pen(size, origin, UNIT)
    draw_figure(pen, person)
    top = pen.on(Image.new("RGBA", pen.image.size))
    fit = worn_fit(person)
    draw_top(top, person.top, fit)
    area = top.image.getchannel("A").reduce(SUPERSAMPLING).point([0] + [255] * 255)
    # Two layers, because the top is near the body and the body far from the wall: their shadows differ.
    lay_over(pen.image, top.image, (1, 6), 4, 0.45)
    picture = room(size, *ground)
    lay_over(picture, pen.image, (20, 12), 16, 0.28)
    return Dressing(finish(picture), area, garment_laid(garment, wider(fit), size, origin))


def garment_laid(garment: Garment, fit: Fit, size: tuple[int, int], origin: Point) -> Image.Image:
    pen = new_pen(size, origin, UNIT)
    draw_inside(pen, garment, fit)
    draw_top(pen, garment, fit)
    return on_white(pen)


def on_white(pen: Pen) -> Image.Image:
    """What the pen has drawn, lying on an off-white ground."""
    ground = Image.new("RGBA", pen.image.size, (238, 239, 240))
    lay_over(ground, pen.image, (3, 6), 7, 0.4)
    return finish(ground)


def wider(fit: Fit, margin: float = 1.4) -> Fit:
    """The seams of a garment that covers another, some cm larger all round, but with the neck where it is."""

    def out(point: Point, down: float) -> Point:
        return point[0] + margin, point[1] + down

    left, right = (
        Cuff(outer=(c.outer[0] + 0.6, c.outer[1] + 0.5), inner=(c.inner[0] - 0.5, c.inner[1] + 0.8)) for c in fit.cuffs
    )
    return replace(
        fit,
        neck=(fit.neck[0], fit.neck[1] - 0.3),
        shoulder=out(fit.shoulder, -margin * 0.6),
        armpit=out(fit.armpit, margin * 0.5),
        waist=out(fit.waist, 0),
        hem=out(fit.hem, margin),
        cuffs=(left, right),
    )


def some_colour(chance: random.Random, least: float = 0.25) -> Colour:
    """Anything but what could be taken for the green of the area."""
    while True:
        hue = chance.random()
        red, green, blue = hsv_to_rgb(hue, chance.random() ** 0.7, chance.uniform(least, 1))
        if green - max(red, blue) < 0.35:
            return round(red * 255), round(green * 255), round(blue * 255)


def far_colour(chance: random.Random, other: Colour) -> Colour:
    while True:
        colour = some_colour(chance)
        if sum(abs(a - b) for a, b in zip(colour, other, strict=True)) > 160:
            return colour


def some_garment(chance: random.Random, patterns: tuple[Pattern, ...]) -> Garment:
    colour = some_colour(chance)
    second, trim = far_colour(chance, colour), far_colour(chance, colour)
    return Garment(colour, second, trim, chance.choice(patterns), chance.choice(("crew", "polo")))


def draw_lots(chance: random.Random, held_out: bool) -> Person:
    """A person by chance. The pose held out: both arms away from the body."""
    skin = chance.choice([(255, 219, 190), (228, 178, 146), (198, 140, 102), (150, 98, 68), (96, 62, 46)])
    hair = chance.choice([(70, 44, 36), (30, 26, 28), (200, 160, 90), (150, 70, 40), (170, 170, 172)])
    low, high = (30, 38) if held_out else (8, 26)
    arms = [Arm(chance.uniform(low, high), chance.uniform(-4, 30)) for _ in range(2)]
    build = chance.uniform(-1.6, 3)
    shirt = some_colour(chance)
    return Person(
        shoulders=17.4 + build * 0.7,
        chest=14.6 + build,
        waist=12.6 + build * 1.2,
        hips=17.2 + build,
        arms=(arms[0], arms[1]),
        head_tilt=chance.uniform(-6, 6),
        skin=skin,
        hair=hair,
        eyes=chance.choice([(92, 66, 48), (70, 110, 150), (80, 110, 70)]),
        lips=chance.choice([(196, 98, 92), (170, 80, 80)]),
        trousers=some_colour(chance, 0.1),
        top=Garment(shirt, shirt, shirt, "plain", "crew"),
    )
