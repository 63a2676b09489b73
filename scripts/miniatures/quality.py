"""How near a picture comes to the one that was asked for: outside the area, inside it, and in the garment's main
colour."""

from dataclasses import dataclass
from math import inf

import numpy as np

from miniatures.drawn import Drawn, Picture, halved

LEAST_OUTSIDE, LEAST_INSIDE, MOST_COLOUR = 24.0, 18.0, 15.0
"""What counts as good enough, in dB, dB and distance."""


@dataclass(frozen=True)
class Quality:
    outside: float
    """Peak signal to noise against the person, in dB."""
    inside: float
    """The same against the garment as it was laid there."""
    colour: float
    """CIE 1976 distance between the garment's main colour and what came out where it was to be."""


def quality_of(made: Picture, drawn: Drawn) -> Quality:
    """`made` may be at half the drawing's size, and a few rows and columns shorter."""
    wanted, area = drawn.dressed, drawn.area
    if made.shape[0] <= wanted.shape[0] * 0.6:
        wanted = halved(wanted)
        # What is partly in the area is neither inside nor outside.
        share = halved(np.uint8(255) * area[..., None])[..., 0]
        inside, outside = share == 255, share == 0
    else:
        inside, outside = area, ~area
    rows, columns = made.shape[:2]
    wanted, inside, outside = (each[:rows, :columns] for each in (wanted, inside, outside))
    return Quality(psnr(made, wanted, outside), psnr(made, wanted, inside), _colour_distance(made, wanted, inside))


def psnr(made: Picture, wanted: Picture, where: np.ndarray) -> float:
    if not where.any():
        return inf
    square = float(((made[where].astype(float) - wanted[where].astype(float)) ** 2).mean())
    return 10 * float(np.log10(255**2 / max(square, 1e-9)))


def _colour_distance(made: Picture, wanted: Picture, inside: np.ndarray) -> float:
    asked = wanted[inside]
    coarse = asked.astype(int) // 16
    codes = (coarse[:, 0] * 16 + coarse[:, 1]) * 16 + coarse[:, 2]
    main = codes == np.bincount(codes).argmax()
    pair = (np.median(picture[main], axis=0) for picture in (made[inside], asked))
    return float(np.linalg.norm(np.subtract(*(_lab(colour) for colour in pair))))


def _lab(colour: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of an sRGB colour, under daylight (D65)."""
    share = colour / 255
    linear = np.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(to_xyz @ linear / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
