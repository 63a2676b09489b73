"""A curve as a PNG: how many try-ons a second some workers do, and how many they would if each did as many as one."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 50, 60
INK, PALE, LINE = "#1f2933", "#9aa5b1", "#0b69a3"
FINE = 2
"""Drawn so many times as large, then made smaller: that makes lines smooth."""


class Curve:
    """Points in the units of the data, on paper."""

    def __init__(self, most_x: float, most_y: float) -> None:
        self.image = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE), "white")
        self._draw = ImageDraw.Draw(self.image)
        self._most = most_x, most_y
        self._font = ImageFont.load_default(13 * FINE)

    def place(self, x: float, y: float) -> tuple[float, float]:
        across = LEFT + x / self._most[0] * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - y / self._most[1] * (HEIGHT - TOP - BOTTOM)
        return across * FINE, down * FINE

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: int) -> None:
        self._draw.line([self.place(*point) for point in points], colour, width * FINE)

    def dot(self, x: float, y: float) -> None:
        across, down = self.place(x, y)
        self._draw.circle((across, down), 4 * FINE, LINE)

    def words(self, x: float, y: float, text: str, anchor: str, colour: str = INK, shift: float = 0) -> None:
        across, down = self.place(x, y)
        self._draw.text((across, down + shift * FINE), text, colour, self._font, anchor)


def draw(file: Path, points: Sequence[tuple[int, float]], title: str) -> None:
    """Workers and try-ons a second."""
    first = points[0][1] / points[0][0]
    most_x = max(workers for workers, _ in points) * 1.05
    most_y = max(first * points[-1][0], *(rate for _, rate in points)) * 1.1
    curve = Curve(most_x, most_y)
    curve.line([(0, most_y), (0, 0), (most_x, 0)], INK, 1)
    curve.line([(0, 0), (points[-1][0], first * points[-1][0])], PALE, 1)
    curve.words(points[-1][0], first * points[-1][0], "as many as one, times workers", "rs", PALE, shift=-8)
    curve.line(list(points), LINE, 2)
    for workers, rate in points:
        curve.dot(workers, rate)
        curve.words(workers, rate, f"{rate:.2f}", "lt", LINE, shift=8)
        curve.words(workers, 0, str(workers), "mt", shift=8)
    curve.words(most_x / 2, 0, "workers", "mt", shift=30)
    curve.words(0, most_y, title, "lb", shift=-14)
    file.parent.mkdir(parents=True, exist_ok=True)
    curve.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(file, optimize=True)
