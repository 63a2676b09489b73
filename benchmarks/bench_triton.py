"""How long a try-on takes on the Triton server, and on workers on Kafka: one alone, and several at once.

The ways, one after the other in each pass, every second pass the other way round:
  ensemble, together   vtryon_pipeline, all stages in one process
  ensemble, apart      vtryon_pipeline, each stage a process of its own
  hybrid               a worker on Kafka whose stages run on Triton, together
  worker, together     a worker on Kafka with all stages
  workers, apart       four workers on Kafka
Without MODEL_DIR the models are random miniatures: what is measured is the way there and back, more than the models.
"""

import argparse
import io
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from statistics import median
from typing import Any

from bench_kafka import Bench, fresh_kafka
from processes import all_stopped
from ways import Ensemble, Job, Memory, Taken, Way, Workers, serving, working

from orchestrator.cli.main import main as vtryon
from shared_utils.transports.kafka.topics import STAGES

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
ALL = ",".join(STAGES)
WAYS = ("ensemble, together", "ensemble, apart", "hybrid", "worker, together", "workers, apart")
SIDE_BY_SIDE = ("worker, together", "workers, apart")
"""Where the two encoders are under way at once. In one process, the time of each includes waits for the other."""


class Found:
    """What one way was measured to do."""

    def __init__(self) -> None:
        self.alone: list[Taken] = []
        self.at_once: list[Taken] = []
        self.memory: list[Memory] = []

    def shown(self, side_by_side: bool) -> dict[str, Any]:
        stages = {stage: median(taken.steps[0][stage] for taken in self.alone) for stage in STAGES}
        rest = median(taken.wall - _in_a_row(taken.steps[0], side_by_side) for taken in self.alone)
        return {
            "one, ms": median(taken.wall for taken in self.alone),
            "at once, ms": median(taken.wall for taken in self.at_once),
            "stages, ms": stages,
            "rest, ms": rest,
            "RSS, MB": median(each.rss for each in self.memory),
            "PSS, MB": median(each.pss for each in self.memory),
            "processes": self.memory[0].processes,
        }


def _in_a_row(steps: dict[str, int], side_by_side: bool) -> int:
    """The time that nothing could be done about: that of steps which wait for each other."""
    encoders = [steps["latent_encoder"], steps["text_encoder"]]
    return (max(encoders) if side_by_side else sum(encoders)) + steps["sampling"] + steps["decoding"]


@contextmanager
def started(name: str, bench: Bench, job: Job) -> Iterator[Way]:
    match name:
        case "ensemble, together" | "ensemble, apart":
            with serving(bench, job, name.split()[1]) as server:
                yield Ensemble(server, job)
        case "hybrid":
            with (
                serving(bench, job, "together") as server,
                working(bench, job, [ALL], STAGE_BACKEND="triton", TRITON_URL=server.grpc) as workers,
            ):
                yield Workers(bench, job, workers, server)
        case _:
            with working(bench, job, [ALL] if name == "worker, together" else STAGES) as workers:
                yield Workers(bench, job, workers, None)


def measure(way: Way, found: Found, given: argparse.Namespace) -> None:
    way.ask(1)  # it finds out what later ones have found out
    for _ in range(given.rounds):
        found.alone.append(way.ask(1))
        found.at_once.append(way.ask(given.at_once))
    found.memory.append(way.memory())


def table(rows: dict[str, dict[str, Any]], at_once: int) -> str:
    """The ratios are to the first row."""
    first = next(iter(rows.values()))
    heads = (("one, ms", 10), ("", 7), (f"{at_once} at once, ms", 16), ("", 7), ("PSS, MB", 10), ("RSS, MB", 10))
    lines = [" " * 20 + "".join(f"{head:>{width}}" for head, width in heads) + f"{'processes':>11}"]
    for name, row in rows.items():
        one, many = (f"{row[key] / first[key]:.2f}x" for key in ("one, ms", "at once, ms"))
        times = f"{row['one, ms']:>10.0f}{one:>7}{row['at once, ms']:>16.0f}{many:>7}"
        lines.append(f"{name:<20}{times}{row['PSS, MB']:>10.0f}{row['RSS, MB']:>10.0f}{row['processes']:>11}")
    lines += ["", f"{'one alone, ms':<20}" + "".join(f"{stage:>16}" for stage in (*STAGES, "the rest"))]
    for name, row in rows.items():
        parts = (*row["stages, ms"].values(), row["rest, ms"])
        lines.append(f"{name:<20}" + "".join(f"{part:>16.0f}" for part in parts))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=2, help="through all ways (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="of each way in a pass (default: 3)")
    parser.add_argument("--at-once", type=int, default=8, metavar="N", help="(default: 8)")
    parser.add_argument("--megapixels", type=float, default=0.25, help="(default: 0.25)")
    parser.add_argument("--steps", type=int, default=4, help="of the sampler (default: 4)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, metavar="WAY", help="only these")
    parser.add_argument("--output", type=Path, default=Path("out/bench_triton.json"), help="(default: %(default)s)")
    given = parser.parse_args()
    logging.getLogger("vtryon").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="vtryon-bench-models-") as miniatures, fresh_kafka() as bench:
        models = Path(os.environ.get("MODEL_DIR") or miniatures).resolve()
        if not os.environ.get("MODEL_DIR"):
            with redirect_stdout(io.StringIO()):
                vtryon(["models", "miniature", "--random", "--output", miniatures])
        pictures = EXAMPLES / "person_masked.png", EXAMPLES / "garment.png"
        job = Job(*pictures, given.megapixels, given.steps, models)
        found = {name: Found() for name in given.ways}
        orchestrator = bench.orchestrator(0, 100)
        with all_stopped([orchestrator]):
            orchestrator.start()
            for number in range(given.passes):
                for name in given.ways if number % 2 == 0 else reversed(given.ways):
                    with started(name, bench, job) as way:
                        measure(way, found[name], given)
                    print(f"pass {number + 1}: {name} is done", file=sys.stderr, flush=True)
    rows = {name: each.shown(name in SIDE_BY_SIDE) for name, each in found.items()}
    print(table(rows, given.at_once))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
