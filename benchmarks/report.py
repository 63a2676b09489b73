"""A comparison as a table for people, and as JSON."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from comparison import Cell, Comparison

Row = dict[str, Any]


def rows(found: Comparison, sides: Sequence[str]) -> list[Row]:
    """One for each size, scenario and side; ratios are to the first side, above 1 is better than it."""
    shown = []
    for scenario, megapixels in sorted({key[:2] for key in found.cells}, key=lambda cell: (cell[1], cell[0])):
        cells = {side: found.cells.get((scenario, megapixels, side)) for side in sides}
        reference = cells[sides[0]]
        for side, cell in cells.items():
            if cell is not None:
                shown.append({"scenario": scenario, "megapixels": megapixels, "side": side, **_row(cell, reference)})
    return shown


def _row(cell: Cell, reference: Cell | None) -> Row:
    walls = [done.wall_ms for done in cell.alone]
    nodes = [done.nodes_ms for done in cell.alone if done.nodes_ms is not None]
    overheads = [done.wall_ms - done.nodes_ms for done in cell.alone if done.nodes_ms is not None]
    row: Row = {
        "alone p50 ms": median(walls) if walls else None,
        "queued a second": median(cell.per_second) if cell.per_second else None,
        "CPU s": median(cell.cpu_seconds),
        "peak MB": cell.peak_mb,
        "nodes p50 ms": median(nodes) if nodes else None,
        "overhead p50 ms": median(overheads) if overheads else None,
        "stages p50 ms": _stages(cell),
        "all alone ms": walls,
        "all queued a second": cell.per_second,
    }
    if overheads:
        row["overhead %"] = row["overhead p50 ms"] / row["alone p50 ms"] * 100
    if reference is not None:
        row |= _ratios(cell, reference)
    return row


def _ratios(cell: Cell, reference: Cell) -> Row:
    found: Row = {}
    if cell.alone and reference.alone:
        walls = (median(done.wall_ms for done in each.alone) for each in (reference, cell))
        found["alone ratio"] = next(walls) / next(walls)
    if cell.per_second and reference.per_second:
        found["queued ratio"] = median(cell.per_second) / median(reference.per_second)
    return found


def _stages(cell: Cell) -> dict[str, float]:
    names = {name: None for done in cell.alone for name in done.stages}
    return {name: median(done.stages[name] for done in cell.alone if name in done.stages) for name in names}


COLUMNS = (
    ("one, ms", "alone p50 ms", ".0f"),
    ("ratio", "alone ratio", ".2f"),
    ("queued, /min", "queued a second", ".2f"),
    ("ratio", "queued ratio", ".2f"),
    ("CPU s", "CPU s", ".1f"),
    ("peak, MB", "peak MB", ".0f"),
    ("overhead, ms", "overhead p50 ms", ".0f"),
    ("%", "overhead %", ".1f"),
)
WIDTH = 13


def table(shown: list[Row], reference: str) -> str:
    lines: list[str] = []
    title: tuple[str, float] | None = None
    for row in shown:
        if (row["scenario"], row["megapixels"]) != title:
            title = row["scenario"], row["megapixels"]
            heads = "".join(f"{head:>{WIDTH}}" for head, _, _ in COLUMNS)
            lines += ["", f"{title[0]}, {title[1]:g} megapixels", " " * 11 + heads]
        lines.append(f"{row['side']:<11}" + "".join(_cell(row, key, form) for _, key, form in COLUMNS))
    lines += [
        "",
        f"Ratios: how many times as fast as {reference}. Overhead: one alone, less its nodes' time.",
    ]
    return "\n".join(lines[1:])


def _cell(row: Row, key: str, form: str) -> str:
    value = row.get(key)
    if value is None:
        return f"{'-':>{WIDTH}}"
    return f"{value * 60 if key == 'queued a second' else value:>{WIDTH}{form}}"


def stages_table(shown: list[Row]) -> str:
    """Where vtryon's time goes: what its stages say of one try-on alone."""
    with_stages = [row for row in shown if row["stages p50 ms"]]
    if not with_stages:
        return ""
    names = list(with_stages[0]["stages p50 ms"])
    lines = [f"{'one alone, ms in each stage':<40}" + "".join(f"{name:>16}" for name in names)]
    for row in with_stages:
        title = f"{row['scenario']}, {row['megapixels']:g} megapixels, {row['side']}"
        lines.append(f"{title:<40}" + "".join(f"{row['stages p50 ms'].get(name, 0):>16.0f}" for name in names))
    return "\n".join(lines)


def rest_line(found: Comparison) -> str:
    sides = (f"{name} ({_parts(parts)})" for name, parts in found.rest.items())
    return f"At rest, percent of a core: {'; '.join(sides)}" if found.rest else ""


def _parts(parts: dict[str, float]) -> str:
    return ", ".join(f"{part} {share:.1f}" for part, share in parts.items())
