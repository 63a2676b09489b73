"""What this machine does at best: matrix products and copies, timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Rates:
    """A second."""

    operations: float
    """Of matrix products; a multiplication and an addition are two."""
    device_bytes: float
    """Read and written, in a copy within the device's memory."""
    upload_bytes: float
    """From the machine's memory, pinned, to the device's."""


def measured(
    device: str, side: int, megabytes: int, seconds: float = 1.0, dtype: torch.dtype = torch.bfloat16
) -> Rates:
    """Of square matrices with such sides and numbers, and of blocks of such a size."""
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    block = torch.empty(megabytes * 1024**2, dtype=torch.uint8, device=device)
    target = torch.empty_like(block)
    host = torch.empty_like(block, device="cpu", pin_memory=device != "cpu")
    return Rates(
        2 * side**3 / _best(lambda: torch.mm(a, b), device, seconds),
        2 * block.nbytes / _best(lambda: target.copy_(block), device, seconds),
        block.nbytes / _best(lambda: target.copy_(host), device, seconds),
    )


def _best(work: Callable[[], object], device: str, seconds: float) -> float:
    """The seconds of the fastest of many runs; the first warms up."""
    best = float("inf")
    work()
    end = time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        _wait(device)
        begin = time.perf_counter()
        work()
        _wait(device)
        best = min(best, time.perf_counter() - begin)
    return best


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
