"""What a side takes of the machine: processor seconds and memory of its processes and all that these started."""

import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from ways import weighed

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
EVERY_SECONDS = 0.1
WORTH_WEIGHING = 1.02
"""The proportional share is added up page by page: only when the sum of what is resident has grown by so much."""


def tree(roots: Iterable[int]) -> list[int]:
    """These processes and their descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if (stat := _stat(int(folder.name))) is not None:
            children.setdefault(int(stat[1]), []).append(int(folder.name))
    found = list(roots)
    for process in found:  # it grows on the way
        found += children.get(process, [])
    return found


def cpu_seconds(processes: Iterable[int]) -> float:
    """In user and system mode, with children that have ended."""
    stats = (_stat(process) for process in processes)
    return sum(sum(map(int, stat[11:15])) for stat in stats if stat is not None) / TICKS


def idle_seconds() -> float:
    """How long the machine's cores have had nothing to do since its start, added up."""
    first = Path("/proc/stat").read_text().split("\n", 1)[0]
    return sum(map(int, first.split()[4:6])) / TICKS


def _stat(process: int) -> list[str] | None:
    """The fields behind the name, which may hold anything: state, parent, ..."""
    try:
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def resident(processes: Iterable[int]) -> int:
    """Bytes, what several share counted for each."""
    return sum(_pages(process) for process in processes) * PAGE


def _pages(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


class Peak:
    """The most memory that processes have together while this is open, in MB: what they share counted once."""

    def __init__(self, processes: Sequence[int]) -> None:
        self.megabytes = 0.0
        self._processes = processes
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        most = 0.0
        while True:
            now = resident(self._processes)
            if now > most * WORTH_WEIGHING:
                most = now
                self.megabytes = max(self.megabytes, weighed(self._processes).pss)
            if self._over.wait(EVERY_SECONDS):
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()
