"""What callers wait when try-ons come at random, how fairly, and what more workers bring.

The stages sleep, so that what is seen is the orchestrator, the workers and Kafka, and not the models. First the
capacity is measured: all at once. Then they come by a Poisson process at a part of that, from several submitters. Then
the capacity again with more workers, as a curve.
"""

import argparse
import json
import logging
import random
import sys
import time
from pathlib import Path
from statistics import mean, median
from typing import Any

from arrivals import Caller, Trip, jain, percentiles, poisson, queue_theory, rate_of, waits_by
from comparison import say
from curve import draw
from fleet import Fleet, running
from footprint import idle_seconds
from machine import described
from processes import end_in_order

SUBMITTERS = 4
ALONE = 10
"""Try-ons one after the other, for how long one takes that waits for nobody."""


def at_once(count: int) -> list[tuple[float, int]]:
    return [(0.0, number % SUBMITTERS) for number in range(count)]


def waiting(given: argparse.Namespace) -> dict[str, Any]:
    """At each load; and what a submitter of few waits behind one who sends many at once."""
    source = random.Random(given.seed)
    with running(given.workers, given.milliseconds, embedded=given.embedded) as (_, caller):
        unloaded = median(caller.send([(0.0, 0)])[0].seconds for _ in range(ALONE))
        capacity = rate_of(caller.send(at_once(given.tryons)))
        say(f"{capacity:.2f} try-ons a second with {given.workers} worker(s), {unloaded * 1000:.0f} ms for one alone")
        rows = {}
        for load in given.loads:
            moments = poisson(capacity * load / 100, given.tryons, source)
            trips = caller.send((moment, source.randrange(SUBMITTERS)) for moment in moments)
            rows[f"{load:g} %"] = _row(trips, unloaded, load / 100, capacity)
            say(f"at {load:g} % of that: done")
        burst = caller.send([*[(0.0, 0)] * given.tryons, *[(0.001 * number, 1) for number in range(1, 11)]])
    return {"capacity, a second": capacity, "one alone, s": unloaded, "loads": rows, "burst": _burst(burst, unloaded)}


def _row(trips: list[Trip], unloaded: float, load: float, capacity: float) -> dict[str, Any]:
    waits = [max(0.0, trip.seconds - unloaded) for trip in trips]
    found: dict[str, Any] = {"wait, s": {**percentiles(waits), "mean": mean(waits)}}
    found["M/D/1 mean, s"] = queue_theory(load, 1 / capacity)
    for what in ("submitter", "partition"):
        by_one = waits_by(trips, what, unloaded)
        found[f"mean wait by {what}, s"] = by_one
        found[f"fairness between {what}s"] = jain(by_one.values())
    return found


def _burst(trips: list[Trip], unloaded: float) -> dict[str, float]:
    """The mean wait of the one who sent many, and of the one who came right behind with few."""
    many, few = waits_by(trips, "submitter", unloaded).values()
    return {"who sent many, mean s": many, "who sent few behind, mean s": few}


def growth(given: argparse.Namespace) -> list[dict[str, float]]:
    """By the number of workers: try-ons a second, what each costs of the processor, and what the machine had left."""
    points: dict[int, list[dict[str, float]]] = {count: [] for count in given.growth}
    for number in range(given.passes):
        for count in given.growth if number % 2 == 0 else reversed(given.growth):
            with running(count, given.milliseconds, embedded=given.embedded) as (fleet, caller):
                points[count].append(_point(fleet, caller, given.tryons_each * count))
            say(f"{count} worker(s): {points[count][-1]['try-ons a second']:.2f} a second")
    return [
        {"workers": count} | {name: median(point[name] for point in found) for name in found[0]}
        for count, found in points.items()
    ]


def _point(fleet: Fleet, caller: Caller, tryons: int) -> dict[str, float]:
    cpu, idle, began = fleet.cpu_seconds(), idle_seconds(), time.perf_counter()
    rate = rate_of(caller.send(at_once(tryons)))
    return {
        "try-ons a second": rate,
        "CPU ms each": (fleet.cpu_seconds() - cpu) / tryons * 1000,
        "cores idle": (idle_seconds() - idle) / (time.perf_counter() - began),
    }


def table(found: dict[str, Any], given: argparse.Namespace) -> str:
    head = f"{'load':<8}" + "".join(f"{name:>10}" for name in ("p50, s", "p95, s", "p99, s", "mean, s", "M/D/1, s"))
    lines = [f"waiting, {given.workers} worker(s), stages of {given.milliseconds:g} ms", head + f"{'fair: by':>10} ..."]
    for load, row in found["loads"].items():
        waits = [row["wait, s"][name] for name in ("p50", "p95", "p99", "mean")] + [row["M/D/1 mean, s"]]
        fair = ", ".join(f"{row[f'fairness between {what}s']:.3f} {what}" for what in ("submitter", "partition"))
        lines.append(f"{load:<8}" + "".join(f"{value:>10.2f}" for value in waits) + f"  {fair}")
    many, few = found["burst"].values()
    behind = f"{given.tryons} at once from one, 10 from another behind"
    lines.append(f"{behind}: they waited {many:.1f} and {few:.1f} s on average")
    lines += ["", f"{'workers':<8}{'a second':>10}{'times one':>11}{'CPU ms each':>13}{'cores idle':>12}"]
    for point in found["growth"]:
        first = found["growth"][0]["try-ons a second"] / found["growth"][0]["workers"]
        rate = point["try-ons a second"]
        row = f"{point['workers']:<8}{rate:>10.2f}{rate / first:>11.2f}{point['CPU ms each']:>13.1f}"
        lines.append(f"{row}{point['cores idle']:>12.2f}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--milliseconds", type=float, default=200, help="that each stage sleeps (default: 200)")
    parser.add_argument("--workers", type=int, default=1, help="while waiting is measured (default: 1)")
    parser.add_argument("--tryons", type=int, default=300, help="for each load (default: 300)")
    parser.add_argument("--loads", type=float, nargs="+", default=[50, 80, 95], help="percent (default: 50 80 95)")
    parser.add_argument("--growth", type=int, nargs="+", default=[1, 2, 4, 8], help="workers (default: 1 2 4 8)")
    parser.add_argument("--tryons-each", type=int, default=50, help="for each of those workers (default: 50)")
    parser.add_argument("--passes", type=int, default=2, help="through those (default: 2)")
    parser.add_argument("--seed", type=int, default=0, help="of the arrivals (default: 0)")
    parser.add_argument("--embedded", action="store_true", help="on the broker in memory: no Java, 4 workers at most")
    parser.add_argument("--curve", type=Path, default=Path("out/growth.png"), help="(default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("out/bench_load.json"), help="(default: %(default)s)")
    given = parser.parse_args()
    logging.getLogger("vtryon").setLevel(logging.CRITICAL)
    end_in_order()
    machine = described()
    found = waiting(given) | {"growth": growth(given)}
    print(table(found, given))
    points = [(int(point["workers"]), point["try-ons a second"]) for point in found["growth"]]
    draw(given.curve, points, f"try-ons a second; stages that sleep {given.milliseconds:g} ms")
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps({"machine": machine, **found}, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
