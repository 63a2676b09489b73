"""What an orchestrator keeps in memory: after very many try-ons, and when it is started again with very many in flight.

Stages do nothing. Exit code 1 if a try-on that was in flight is not taken up again.
"""

import argparse
import logging
import re
import sys
import time
from pathlib import Path

from bench_kafka import Bench, answers, fresh_kafka, reader_of, submit
from processes import Child, all_stopped

from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.reading import read_to_the_end

SHOWN = 10
TAKEN_UP = re.compile(r"took up (\d+) try-ons")


def megabytes(child: Child) -> float:
    status = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def memory_over(tryons: int) -> None:
    """The orchestrator's memory while so many try-ons pass through it."""
    with fresh_kafka() as bench:
        reader = reader_of(bench.settings, topics.TRYON_RESPONSES)
        orchestrator = bench.orchestrator(0, 500)
        with all_stopped([orchestrator, stages := bench.child("stages", "benchmarks/nothing.py")]):
            stages.start()
            orchestrator.start()
            print(f"{'try-ons ended':>14}{'memory, MB':>12}")
            portion = tryons // SHOWN
            for done in range(0, tryons, portion):
                names = {f"memory-{number:07}" for number in range(done, done + portion)}
                submit(bench.settings, sorted(names))
                for name, _ in answers(reader):
                    names.discard(name)
                    if not names:
                        break
                print(f"{done + portion:>14}{megabytes(orchestrator):>12.1f}", flush=True)
        reader.close()


def restart_with(tryons: int) -> int:
    """Kill an orchestrator with so many try-ons in flight; how many does the next one take up, and end?"""
    with fresh_kafka() as bench:
        submit(bench.settings, [f"flight-{number:06}" for number in range(tryons)])
        orchestrator = bench.child(
            "orchestrator", "-m", "orchestrator", MAX_IN_FLIGHT=str(2 * tryons), LOG_LEVEL="INFO"
        )
        stages = bench.child("stages", "benchmarks/nothing.py")
        reader = reader_of(bench.settings, topics.TRYON_RESPONSES)
        with all_stopped([orchestrator, stages]):
            orchestrator.start()
            wait_until_in_flight(bench, tryons)
            before = megabytes(orchestrator)
            orchestrator.kill()
            begin = time.perf_counter()
            orchestrator.start()
            taken_up = wait_until_taken_up(bench.folder / "orchestrator.log")
            seconds = time.perf_counter() - begin
            print(f"\nkilled with {tryons} in flight ({before:.0f} MB); started again: {taken_up} taken up", end=" ")
            print(f"after {seconds:.1f} s ({megabytes(orchestrator):.0f} MB)", flush=True)
            stages.start()
            ended = set()
            for name, _ in answers(reader):
                ended.add(name)
                if len(ended) == tryons:
                    break
        reader.close()
    print(f"{len(ended)} of them ended, {seconds_text(begin)} after the restart")
    return 0 if taken_up == tryons else 1


def seconds_text(begin: float) -> str:
    return f"{time.perf_counter() - begin:.0f} s"


def wait_until_in_flight(bench: Bench, tryons: int) -> None:
    seen: set[bytes] = set()
    while len(seen) < tryons:
        seen = {bytes(record.key() or b"") for record in read_to_the_end(bench.settings, topics.TRYON_STATUS)}


def wait_until_taken_up(log: Path) -> int:
    """What the second start says in its log."""
    while True:
        found = TAKEN_UP.findall(log.read_text(encoding="utf-8"))
        if len(found) > 1:
            return int(found[-1])
        time.sleep(0.05)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tryons", type=int, default=100_000, help="(default: 100000)")
    parser.add_argument("--in-flight", type=int, default=10_000, help="(default: 10000)")
    given = parser.parse_args()
    logging.getLogger("vtryon").setLevel(logging.CRITICAL)
    memory_over(given.tryons)
    return restart_with(given.in_flight)


if __name__ == "__main__":
    sys.exit(main())
