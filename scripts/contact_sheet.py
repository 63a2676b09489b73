"""Pictures in rows on one sheet, each with a caption below it."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

Cell = tuple[str, Image.Image]
"""A caption and its picture."""

HEIGHT = 480
"""Of each picture, in pixels; its width follows."""
MARGIN, CAPTION, LETTERS = 20, 32, 16
PAPER, INK = (255, 255, 255), (70, 74, 80)


def contact_sheet(rows: Sequence[Sequence[Cell]]) -> Image.Image:
    """What stands in the same column is centred in it."""
    scaled = [[(caption, _scaled(picture)) for caption, picture in row] for row in rows]
    columns = max((len(row) for row in scaled), default=0)
    widths = [max(row[column][1].width for row in scaled if column < len(row)) for column in range(columns)]
    step = HEIGHT + CAPTION + MARGIN
    sheet = Image.new("RGB", (sum(widths) + MARGIN * (columns + 1), len(scaled) * step + MARGIN), PAPER)
    for number, row in enumerate(scaled):
        left = MARGIN
        for width, cell in zip(widths, row, strict=False):
            _put(sheet, cell, left + width // 2, MARGIN + number * step)
            left += width + MARGIN
    return sheet


def _scaled(picture: Image.Image) -> Image.Image:
    width = max(1, round(picture.width * HEIGHT / picture.height))
    return picture.convert("RGB").resize((width, HEIGHT), Image.Resampling.LANCZOS)


def _put(sheet: Image.Image, cell: Cell, middle: int, top: int) -> None:
    caption, picture = cell
    sheet.paste(picture, (middle - picture.width // 2, top))
    font = ImageFont.load_default(LETTERS)
    ImageDraw.Draw(sheet).text((middle, top + HEIGHT + CAPTION // 2), caption, INK, font, anchor="mm")
