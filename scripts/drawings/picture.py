"""Whole pictures: a garment laid flat, and a person in a room."""

from PIL import Image

from drawings.garment import Cuff, Fit, Garment, draw_inside, draw_top
from drawings.pen import SUPERSAMPLING, Colour, finish, lay_over, new_pen
from drawings.person import Person, draw_figure, worn_fit

GREEN: Colour = (0, 255, 0)
FLAT_CUFF = Cuff(outer=(37.3, 19.2), inner=(26.8, 30.4))
FLAT = Fit(
    neck=(9, 0),
    neck_depth=8,
    shoulder=(22, 4.6),
    armpit=(24.5, 25),
    waist=(23.8, 44),
    hem=(24.6, 70),
    sleeve_bow=0.02,
    cuffs=(FLAT_CUFF, FLAT_CUFF),
)


def garment_picture(garment: Garment, size: tuple[int, int]) -> Image.Image:
    """The garment laid flat on an off-white ground."""
    unit = min(size[0] / 84, size[1] / 85)
    pen = new_pen(size, (size[0] / 2, size[1] / 2 - 34.5 * unit), unit)
    draw_inside(pen, garment, FLAT)
    draw_top(pen, garment, FLAT)
    ground = Image.new("RGBA", pen.image.size, (238, 239, 240))
    lay_over(ground, pen.image, (3, 6), 7, 0.4)
    return finish(ground)


def room(size: tuple[int, int], wall: Colour = (203, 214, 220), floor: Colour = (194, 158, 124)) -> Image.Image:
    """A wall, a skirting board and a floor."""
    pen = new_pen(size, (0, 0), 1)
    width, height = size
    bottom = height * 0.93
    for top, colour in (
        (0, wall),
        (bottom - 42, (236, 238, 238)),
        (bottom - 3, (150, 120, 98)),
        (bottom, floor),
    ):
        pen.fill([(0, top), (width, top), (width, height), (0, height)], colour)
    return pen.image


def person_pictures(person: Person) -> tuple[Image.Image, Image.Image]:
    """The person in a room, and the same picture with the top painted green."""
    size = 768, 1024
    pen = new_pen(size, (size[0] / 2, 70), 7.2)
    draw_figure(pen, person)
    top = pen.on(Image.new("RGBA", pen.image.size))
    draw_top(top, person.top, worn_fit(person))
    area = top.image.getchannel("A").reduce(SUPERSAMPLING).point([0] + [255] * 255)

    # Two layers, because the top is near the body and the body far from the wall: their shadows differ.
    lay_over(pen.image, top.image, (1, 6), 4, 0.45)
    ground = room(size)
    lay_over(ground, pen.image, (20, 12), 16, 0.28)
    picture = finish(ground)
    masked = picture.copy()
    masked.paste(GREEN, mask=area)
    return picture, masked
