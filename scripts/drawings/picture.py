"""What is in every picture: the green of an area to dress, and a room."""

from PIL import Image

from drawings.pen import Colour, new_pen

GREEN: Colour = (0, 255, 0)
WALL: Colour = (203, 214, 220)
FLOOR: Colour = (194, 158, 124)


def room(size: tuple[int, int], wall: Colour, floor: Colour) -> Image.Image:
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
