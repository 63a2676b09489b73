"""What a worker takes at rest, and what ten thousand try-ons leave in it: processor, memory, open files, threads.

Stages do nothing but write small files. Exit code 1 if from the second reading to the last the worker or the
orchestrator has grown by more than --most percent, or has more files open or threads running.
"""

import argparse
import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from comparison import say
from fleet import Fleet, running
from footprint import cpu_seconds, resident
from machine import described
from processes import Child, end_in_order

READINGS = 10


@dataclass(frozen=True)
class Reading:
    """Of one process."""

    megabytes: float
    files: int
    threads: int

    @classmethod
    def of(cls, child: Child) -> "Reading":
        process = Path(f"/proc/{child.pid}")
        files, threads = (len(list((process / folder).iterdir())) for folder in ("fd", "task"))
        return cls(resident([child.pid]) / 1e6, files, threads)


def rest(fleet: Fleet, seconds: float) -> None:
    """Percent of one processor that each takes when nothing is asked of it."""
    before = [cpu_seconds([child.pid]) for child in fleet.children]
    time.sleep(seconds)
    for child, start in zip(fleet.children, before, strict=True):
        print(f"{child.name} at rest: {(cpu_seconds([child.pid]) - start) / seconds:.2%} of a processor")


def grown(first: Reading, last: Reading, most: float) -> bool:
    larger = last.megabytes > first.megabytes * (1 + most / 100)
    return larger or last.files > first.files or last.threads > first.threads


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tryons", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="of rest, before and after (default: %(default)g)")
    parser.add_argument("--most", type=float, default=5, help="percent of growth (default: %(default)g)")
    parser.add_argument("--embedded", action="store_true", help="on the broker in memory: no Java")
    given = parser.parse_args()
    logging.getLogger("vtryon").setLevel(logging.CRITICAL)
    end_in_order()
    say(str(described()))
    with running(1, 0, embedded=given.embedded) as (fleet, caller):
        rest(fleet, given.seconds)
        readings: list[list[Reading]] = []
        print(f"{'try-ons':>8}" + "".join(f"  {child.name}: MB, files, threads" for child in fleet.children))
        for number in range(1, READINGS + 1):
            caller.send([(0.0, 0)] * (given.tryons // READINGS))
            readings.append([Reading.of(child) for child in fleet.children])
            row = (f"{one.megabytes:.1f} {one.files} {one.threads}" for one in readings[-1])
            print(f"{number * given.tryons // READINGS:>8}  " + "  ".join(row), flush=True)
        rest(fleet, given.seconds)
        pairs = zip(fleet.children, readings[1], readings[-1], strict=True)
        growing = [child.name for child, first, last in pairs if grown(first, last, given.most)]
    print(f"grown: {', '.join(growing)}" if growing else "flat")
    return 1 if growing else 0


if __name__ == "__main__":
    sys.exit(main())
