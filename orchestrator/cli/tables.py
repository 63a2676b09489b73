"""Tables as text."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as what is in them; those whose title begins with a space are set to the right."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column].strip()) for line in lines) for column in range(len(head))]
    to_the_right = [title.startswith(" ") for title in head]
    return "\n".join(
        "  ".join(
            cell.strip().rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, to_the_right, strict=True)
        ).rstrip()
        for line in lines
    )


def seconds(number: float) -> str:
    """The same width up to ten minutes, and readable after that."""
    if number < 600:
        return f"{number:.1f} s"
    return f"{number / 60:.0f} min"


def shortened(text: str, most: int) -> str:
    """On one line, and no longer than this."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
