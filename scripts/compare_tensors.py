"""Whether two .pt files hold the same, bit for bit, structure and metadata included; if not, how far they are apart.

    python scripts/compare_tensors.py A.pt B.pt

Exit code 0 if they are identical, 1 if they differ, 2 if one can't be read.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch


def differences(a: Any, b: Any, where: str = "") -> Iterator[str]:
    """A line for each place where the two differ. A list and a tuple of the same are the same."""
    place = where or "top level"
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        yield from _tensor_differences(a, b, place)
    elif isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys(), key=str):
            if key not in a or key not in b:
                yield f"{place}: {key!r} is only in {'A' if key in a else 'B'}"
            else:
                yield from differences(a[key], b[key], f"{where}[{key!r}]")
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple):
        if len(a) != len(b):
            yield f"{place}: {len(a)} entries in A, {len(b)} in B"
        for number, (left, right) in enumerate(zip(a, b, strict=False)):
            yield from differences(left, right, f"{where}[{number}]")
    elif type(a) is not type(b):
        yield f"{place}: {type(a).__name__} in A, {type(b).__name__} in B"
    elif a != b:
        yield f"{place}: {a!r} in A, {b!r} in B"


def _tensor_differences(a: torch.Tensor, b: torch.Tensor, place: str) -> Iterator[str]:
    if a.shape != b.shape or a.dtype != b.dtype:
        yield f"{place}: {list(a.shape)} {a.dtype} in A, {list(b.shape)} {b.dtype} in B"
    elif _bits(a) != _bits(b):
        apart = (a.double() - b.double()).abs()
        yield (
            f"{place}: {int((apart > 0).sum())} of {a.numel()} numbers differ, by at most {apart.max().item():.3g}, "
            f"on average {apart.mean().item():.3g} (A's largest is {a.double().abs().max().item():.3g})"
        )


def _bits(tensor: torch.Tensor) -> bytes:
    # Not torch.equal: to that, 0 and -0 are the same, and NaN is nothing's equal.
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    given = parser.parse_args()
    try:
        a, b = (torch.load(file, map_location="cpu", weights_only=True) for file in (given.a, given.b))
    except Exception as unreadable:
        print(f"can't read: {str(unreadable).splitlines()[0]}", file=sys.stderr)
        return 2
    found = list(differences(a, b))
    print("\n".join(found) if found else "identical, bit for bit")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
