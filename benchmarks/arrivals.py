"""Try-ons that come as customers do, at random and whether or not there is room, and how long each had to wait."""

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import mean, median, quantiles

from bench_kafka import Bench, reader_of, request
from confluent_kafka import Consumer, Producer

from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.client import make_producer
from shared_utils.transports.kafka.reading import next_batch
from shared_utils.transports.kafka.sending import produce

ANSWER_SECONDS = 300.0
"""Without any answer."""


@dataclass(frozen=True)
class Trip:
    """One try-on, from its submit to its answer."""

    submitter: int
    partition: int
    seconds: float
    answered: float
    """When, by the clock that all of them go by."""


def poisson(rate: float, count: int, source: random.Random) -> list[float]:
    """Seconds from the start at which so many come, so many a second on average."""
    moments, now = [], 0.0
    for _ in range(count):
        now += source.expovariate(rate)
        moments.append(now)
    return moments


class Caller:
    """Sends try-ons when they are due, and hears of their answers."""

    def __init__(self, bench: Bench) -> None:
        self._producer: Producer = make_producer(bench.settings)
        self._reader: Consumer = reader_of(bench.settings, topics.TRYON_RESPONSES)
        self._count = 0

    def send(self, due: Iterable[tuple[float, int]]) -> list[Trip]:
        """Each at its moment and from its submitter. Comes back when all are answered."""
        waiting = sorted(due)
        sent: dict[str, tuple[float, int]] = {}
        trips: list[Trip] = []
        begin = heard = time.perf_counter()
        total = len(waiting)
        while len(trips) < total:
            while waiting and time.perf_counter() - begin >= waiting[0][0]:
                self._submit(sent, waiting.pop(0)[1])
            pause = max(0.0, begin + waiting[0][0] - time.perf_counter()) if waiting else 1.0
            found = self._heard(sent, pause)
            trips += found
            heard = time.perf_counter() if found or waiting else heard
            if time.perf_counter() - heard > ANSWER_SECONDS:
                raise TimeoutError(f"{total - len(trips)} of {total} try-ons were not answered")
        return trips

    def _submit(self, sent: dict[str, tuple[float, int]], submitter: int) -> None:
        self._count += 1
        name = f"from-{submitter}-{self._count:07}"
        sent[name] = time.perf_counter(), submitter
        produce(self._producer, request(name))
        self._producer.poll(0)

    def _heard(self, sent: Mapping[str, tuple[float, int]], pause: float) -> list[Trip]:
        trips = []
        for record in next_batch(self._reader, 100, pause):
            name = (record.key() or b"").decode()
            if record.error() is None and name in sent:
                now = time.perf_counter()
                begin, submitter = sent[name]
                trips.append(Trip(submitter, record.partition() or 0, now - begin, now))
        return trips

    def close(self) -> None:
        self._reader.close()
        self._producer.close()


def rate_of(trips: list[Trip]) -> float:
    """Answers a second, from the first to the last."""
    moments = [trip.answered for trip in trips]
    return (len(trips) - 1) / (max(moments) - min(moments))


def percentiles(values: list[float]) -> dict[str, float]:
    cuts = quantiles(values, n=100, method="inclusive")
    return {"p50": median(values), "p95": cuts[94], "p99": cuts[98]}


def jain(values: Iterable[float]) -> float:
    """Jain's index of fairness: 1 if all have the same, 1/n if one of n has everything."""
    given = [max(value, 1e-9) for value in values]
    return sum(given) ** 2 / (len(given) * sum(value**2 for value in given))


def waits_by(trips: list[Trip], what: str, unloaded: float) -> dict[int, float]:
    """The mean wait for each submitter, or partition."""
    groups: dict[int, list[float]] = defaultdict(list)
    for trip in trips:
        groups[getattr(trip, what)].append(max(0.0, trip.seconds - unloaded))
    return {number: mean(waits) for number, waits in sorted(groups.items())}


def queue_theory(load: float, seconds: float) -> float:
    """The mean wait where one server takes exactly so long for each (M/D/1): with one worker nothing can be faster."""
    return load * seconds / (2 * (1 - load))
