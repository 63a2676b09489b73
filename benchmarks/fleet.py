"""An orchestrator and workers whose stages sleep, on a Kafka of their own, and somebody who sends them try-ons."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arrivals import Caller
from bench_kafka import Bench, fresh_kafka
from embedded import SETTINGS, embedded_kafka
from footprint import cpu_seconds, tree
from processes import Child, all_stopped
from ways import wait_for_words

from shared_utils.transports.kafka.topics import STAGES


@contextmanager
def kafka(embedded: bool) -> Iterator[Bench]:
    if not embedded:
        with fresh_kafka() as bench:
            yield bench
        return
    with tempfile.TemporaryDirectory(prefix="vtryon-bench-") as folder, embedded_kafka(Path(folder)) as (bench, _):
        yield bench


ARENAS = {"MALLOC_ARENA_MAX": "2"}
"""As the images have it. Of glibc's own, eight for each core, each grows by a MB as threads come to it in turn."""


class Fleet:
    """An orchestrator and some workers, each with all stages."""

    def __init__(self, bench: Bench, workers: int, milliseconds: float, embedded: bool) -> None:
        given = ARENAS | (SETTINGS if embedded else {"KAFKA_DRAIN_SECONDS": "0"})
        stages = ("--stages", ",".join(STAGES), "--shortest", str(milliseconds), "--longest", str(milliseconds))
        self._bench = bench
        self.workers = [
            bench.child(f"worker{number}-of-{workers}", "benchmarks/stand_ins.py", *stages, LOG_LEVEL="INFO", **given)
            for number in range(workers)
        ]
        self.orchestrator = bench.child("orchestrator", "-m", "orchestrator", **given)

    @property
    def children(self) -> list[Child]:
        return [*self.workers, self.orchestrator]

    def start(self) -> None:
        for child in self.children:
            child.start()
        for worker in self.workers:
            wait_for_words(self._bench.folder / f"{worker.name}.log", " waits for requests on ", len(STAGES))

    def cpu_seconds(self) -> float:
        return cpu_seconds(tree(child.pid for child in self.children))


@contextmanager
def running(workers: int, milliseconds: float, *, embedded: bool) -> Iterator[tuple[Fleet, Caller]]:
    with kafka(embedded) as bench:
        fleet = Fleet(bench, workers, milliseconds, embedded)
        with all_stopped(fleet.children):
            fleet.start()
            caller = Caller(bench)
            caller.send([(0.0, 0)] * 4 * workers)  # until all of them have found each other
            yield fleet, caller
            caller.close()
