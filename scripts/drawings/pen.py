"""The drawing tools: colours, outlines, and pens that draw in a frame of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import atan2, ceil, cos, degrees, floor, pi, radians, sin

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Point = tuple[float, float]
Outline = list[Point]
Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]  # left, top, right, bottom

SUPERSAMPLING = 4  # shapes are drawn this much larger, with hard edges; the reduction at the end smooths them
CURVE_STEPS = 12  # straight pieces between two points of a curve
WHITE: Colour = (255, 255, 255)
SHADOW: Colour = (38, 28, 52)  # a violet rather than a black keeps shaded skin and cloth from looking dirty


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """`colour` with `share` of it replaced by `other`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def along(start: Point, angle: float, length: float) -> Point:
    """The point `length` away from `start`, `angle` degrees outwards from straight down."""
    return start[0] + length * sin(radians(angle)), start[1] + length * cos(radians(angle))


def curve(*points: Point) -> Outline:
    """A smooth (Catmull-Rom) line through the points; lines joined end to end meet in a corner."""
    padded = [points[0], *points, points[-1]]
    line = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for t in (step / CURVE_STEPS for step in range(CURVE_STEPS)):
            weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
            x, y = (sum(w * p[axis] for w, p in zip(weights, (a, b, c, d), strict=True)) / 2 for axis in (0, 1))
            line.append((x, y))
    return [*line, points[-1]]


def arc(centre: Point, width: float, height: float, start: float = 0, end: float = 360) -> Outline:
    """Part of an ellipse of these half axes, clockwise from `start` degrees, where 0 points right."""
    angles = [radians(start + (end - start) * step / 40) for step in range(41)]
    return [(centre[0] + width * cos(angle), centre[1] + height * sin(angle)) for angle in angles]


def limb(path: Sequence[Point], radii: Sequence[float]) -> Outline:
    """The outline of a round-ended tube around a smooth path, as thick at each point of the path as its radius."""
    centres = curve(*path)
    widths = [width for _, width in curve(*enumerate(radii))]
    padded = [centres[0], *centres, centres[-1]]
    angles = [atan2(y1 - y0, x1 - x0) for (x0, y0), (x1, y1) in zip(padded, padded[2:], strict=False)]
    left, right = (
        [(x + w * cos(a + turn), y + w * sin(a + turn)) for (x, y), w, a in zip(centres, widths, angles, strict=True)]
        for turn in (-pi / 2, pi / 2)
    )
    first, last = degrees(angles[0]), degrees(angles[-1])
    end = arc(centres[-1], widths[-1], widths[-1], last - 90, last + 90)
    start = arc(centres[0], widths[0], widths[0], first + 90, first + 270)
    return [*left, *end, *reversed(right), *start]


def symmetric(half: Outline) -> Outline:
    """The closed outline of which `half`, drawn from top to bottom, is the right-hand side."""
    return [*half, *((-x, y) for x, y in reversed(half))]


@dataclass(frozen=True)
class Pen:
    """Draws on an image in a frame of its own: cm from an origin, turned clockwise by `tilt` degrees, or mirrored."""

    image: Image.Image
    origin: Point
    unit: float  # image pixels in a cm
    tilt: float = 0
    mirror: int = 1  # -1 where x runs to the left

    def at(self, point: Point, tilt: float = 0, mirror: int = 1) -> "Pen":
        """A pen whose frame lies in this one's."""
        (origin,) = self.page([point])
        return replace(self, origin=origin, tilt=self.tilt + self.mirror * tilt, mirror=self.mirror * mirror)

    def sides(self) -> tuple["Pen", "Pen"]:
        """Pens for the left and the right half of something symmetric, x running outwards in both."""
        return replace(self, mirror=-self.mirror), self

    def on(self, image: Image.Image) -> "Pen":
        return replace(self, image=image)

    def page(self, points: Sequence[Point]) -> Outline:
        """Points of this frame in pixels of the image."""
        c, s = self.unit * cos(radians(self.tilt)), self.unit * sin(radians(self.tilt))
        turned = ((self.mirror * x * c - y * s, self.mirror * x * s + y * c) for x, y in points)
        return [(self.origin[0] + x, self.origin[1] + y) for x, y in turned]

    def stencil(self, outline: Outline, level: int = 255, blur: float = 0) -> tuple[Image.Image, Box]:
        """A mask of the outline's inside, no larger than need be, and where on the image (or beyond) it belongs."""
        points = self.page(outline)
        xs, ys = zip(*points, strict=True)
        radius = blur * self.unit
        left, top = floor(min(xs) - 3 * radius), floor(min(ys) - 3 * radius)
        right, bottom = ceil(max(xs) + 3 * radius) + 1, ceil(max(ys) + 3 * radius) + 1
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in points], fill=level)
        return mask.filter(ImageFilter.GaussianBlur(radius)), (left, top, right, bottom)

    def fill(self, outline: Outline, colour: Colour) -> None:
        ImageDraw.Draw(self.image).polygon(self.page(outline), fill=colour)

    def paint(self, outline: Outline, texture: Image.Image) -> None:
        """Fill with what another image of the same size shows there."""
        mask, box = self.stencil(outline)
        self.image.paste(texture.crop(box), box[:2], mask)

    def shade(self, outline: Outline, colour: Colour, opacity: float, blur: float = 0) -> None:
        """Tint what is already drawn."""
        mask, box = self.stencil(outline, round(255 * opacity), blur)
        self.image.paste(colour, box, ImageChops.multiply(mask, self.image.getchannel("A").crop(box)))

    def stroke(self, path: Sequence[Point], radii: Sequence[float], colour: Colour) -> None:
        self.fill(limb(path, radii), colour)

    def seam(self, path: Sequence[Point]) -> None:
        """A line of stitches."""
        self.shade(limb(path, [0.09] * len(path)), SHADOW, 0.45)


def new_pen(size: tuple[int, int], origin: Point, unit: float) -> Pen:
    """A pen on a transparent image that `finish` will bring to `size`; origin and unit in pixels of that size."""
    image = Image.new("RGBA", (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING))
    return Pen(image, (origin[0] * SUPERSAMPLING, origin[1] * SUPERSAMPLING), unit * SUPERSAMPLING)


def lay_over(ground: Image.Image, layer: Image.Image, shift: Point, blur: float, opacity: float) -> None:
    """Put a layer on what is drawn, casting a shadow on it; lengths in pixels of the finished picture."""
    small = layer.getchannel("A").reduce(SUPERSAMPLING).filter(ImageFilter.GaussianBlur(blur))
    small = small.transform(small.size, Image.Transform.AFFINE, (1, 0, -shift[0], 0, 1, -shift[1]))
    shadow = small.point([round(level * opacity) for level in range(256)]).resize(layer.size, Image.Resampling.BILINEAR)
    ground.paste(SHADOW, mask=ImageChops.multiply(shadow, ground.getchannel("A")))
    ground.alpha_composite(layer)


def finish(image: Image.Image) -> Image.Image:
    """The picture at its final size."""
    # Averaging whole blocks leaves no trace of the top outside the pixels it touches; sharper filters ring.
    return image.convert("RGB").reduce(SUPERSAMPLING)
