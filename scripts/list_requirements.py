"""Prints what pyproject.toml asks for, with the extras that are named: for images, which install it before the code."""

import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def requirements(extras: list[str]) -> list[str]:
    """Those of the package itself, then those of each extra."""
    project = tomllib.loads(PROJECT.read_text())
    optional: dict[str, list[str]] = project["project"]["optional-dependencies"]
    unknown = set(extras) - set(optional)
    if unknown:
        sys.exit(f"pyproject.toml has no {', '.join(sorted(unknown))}: there are {', '.join(optional)}.")
    wanted: list[str] = project["project"]["dependencies"]
    return wanted + [each for extra in extras for each in optional[extra]]


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))
