"""How fast the orchestrator is, on Apache Kafka on this machine, with stages that do nothing.

Try-ons per second with one orchestrator and with two; the time from submit to answer at 10 per second, and beside it
the floor: as many bare trips through the same Kafka, one after the other, as a try-on's messages make.
"""

import argparse
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from confluent_kafka import Consumer, TopicPartition
from processes import Child, all_stopped, environment, python

from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.client import make_producer, make_reader
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.reading import ends, next_batch, read_to_the_end
from shared_utils.transports.kafka.sending import Outgoing, produce
from shared_utils.transports.kafka.settings import KafkaSettings

TRIPS = 8
"""Messages one after the other: the try-on's request and answer, and request and answer of three steps in a row."""
PER_SECOND = 10.0
WARM_UP = 200
"""Try-ons, or trips, that come first and are not counted: a JVM that has just started is several times slower."""
ANSWER_SECONDS = 120.0


@dataclass(frozen=True)
class Bench:
    """A fresh Kafka with its topics, and where everything lies."""

    folder: Path
    settings: KafkaSettings

    def child(self, name: str, *command: str, **settings: str) -> Child:
        said = {"LOG_LEVEL": "WARNING"} | settings
        values = environment(self.settings.kafka_bootstrap_servers, self.folder, **said)
        return Child(name, python(*command), values, self.folder / f"{name}.log")

    def orchestrator(self, number: int, in_flight: int) -> Child:
        return self.child(f"orchestrator{number}", "-m", "orchestrator", MAX_IN_FLIGHT=str(in_flight))


@contextmanager
def fresh_kafka() -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="vtryon-bench-"))
    try:
        with ApacheKafka(folder / "kafka", dies_with_parent=True) as broker:
            settings = KafkaSettings(kafka_bootstrap_servers=broker.bootstrap)
            topics.create(settings)
            yield Bench(folder, settings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def submit(settings: KafkaSettings, names: list[str]) -> None:
    producer = make_producer(settings)
    for name in names:
        produce(producer, request(name))
    producer.flush(60)


def request(name: str) -> Outgoing:
    fields = {"correlation_id": name, "person_image_path": "person.png", "garment_image_path": "garment.png"}
    return Outgoing(topics.TRYON_REQUESTS, name, JsonCodec().encode(topics.TRYON_REQUESTS, fields))


def reader_of(settings: KafkaSettings, topic: str) -> Consumer:
    """A reader of what comes from now on."""
    reader = make_reader(settings)
    reader.assign([TopicPartition(topic, number, end) for number, end in ends(settings, topic).items()])
    return reader


def answers(reader: Consumer) -> Iterator[tuple[str, float]]:
    """Who was answered, and the seconds at which the orchestrator sent it."""
    while batch := next_batch(reader, 500, ANSWER_SECONDS):
        for record in batch:
            if record.error() is None:
                yield (record.key() or b"").decode(), record.timestamp()[1] / 1000
    raise TimeoutError(f"no answer within {ANSWER_SECONDS:g} s; the logs lie beside Kafka's data")


def throughput(orchestrators: int, tryons: int) -> float:
    """Try-ons per second, all submitted beforehand, from the first that is taken up to the last that is answered."""
    with fresh_kafka() as bench:
        submit(bench.settings, [f"bench-{number:06}" for number in range(tryons)])
        reader = reader_of(bench.settings, topics.TRYON_RESPONSES)
        children = [bench.child("stages", "benchmarks/nothing.py")]
        children += [bench.orchestrator(number, 2000) for number in range(orchestrators)]
        with all_stopped(children):
            for child in children:
                child.start()
            when: dict[str, float] = {}
            for name, sent in answers(reader):
                when[name] = sent
                if len(when) == tryons:
                    break
        reader.close()
        begin = min(record.timestamp()[1] for record in read_to_the_end(bench.settings, topics.TRYON_STATUS)) / 1000
    return tryons / (max(when.values()) - begin)


def latencies(tryons: int) -> tuple[list[float], list[float]]:
    """Milliseconds from submit to answer at a steady rate, and of the bare trips on the same Kafka."""
    with fresh_kafka() as bench:
        children = [bench.child("stages", "benchmarks/nothing.py", "--transactions"), bench.orchestrator(0, 2000)]
        reader = reader_of(bench.settings, topics.TRYON_RESPONSES)
        producer = make_producer(bench.settings)
        with all_stopped(children):
            for child in children:
                child.start()
            produce(producer, request("first"))
            next(answers(reader))
            floor = bare_trips(bench.settings, tryons)
            taken = at_a_steady_rate(bench.settings, reader, tryons)
        reader.close()
    return taken, floor


def at_a_steady_rate(settings: KafkaSettings, reader: Consumer, tryons: int) -> list[float]:
    producer = make_producer(settings)
    sent: dict[str, float] = {}
    taken: list[float] = []
    begin = time.perf_counter()
    while len(taken) < tryons:
        due = begin + len(sent) / PER_SECOND
        if len(sent) < tryons and time.perf_counter() >= due:
            name = f"steady-{len(sent):05}"
            sent[name] = time.perf_counter()
            produce(producer, request(name))
            producer.poll(0)
            continue
        wait = max(0.0, due - time.perf_counter()) if len(sent) < tryons else ANSWER_SECONDS
        for record in next_batch(reader, 100, wait):
            name = (record.key() or b"").decode()
            if record.error() is None and name in sent:
                taken.append((time.perf_counter() - sent[name]) * 1000)
    return taken[WARM_UP:]


def bare_trips(settings: KafkaSettings, times: int) -> list[float]:
    """Milliseconds of TRIPS messages, each sent when the one before it has been read."""
    reader = reader_of(settings, topics.TRYON_PROGRESS)
    producer = make_producer(settings)
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        for _ in range(TRIPS):
            producer.produce(topics.TRYON_PROGRESS, b"trip", partition=0)
            while (record := reader.poll(10)) is None or record.error() is not None:
                pass
        taken.append((time.perf_counter() - begin) * 1000)
    reader.close()
    return taken[WARM_UP:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tryons", type=int, default=20_000, help="for the rate (default: 20000)")
    parser.add_argument("--steady", type=int, default=700, help="for the times, the first 200 uncounted (default: 700)")
    parser.add_argument("--rounds", type=int, default=3, help="of the rates, taken in turn (default: 3)")
    given = parser.parse_args()
    logging.getLogger("vtryon").setLevel(logging.CRITICAL)
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(given.rounds):
        for orchestrators, found in rates.items():
            found.append(throughput(orchestrators, given.tryons))
            print(f"{orchestrators} orchestrator(s): {found[-1]:.0f} try-ons a second", flush=True)
    taken, floor = latencies(given.steady)

    print(f"\n{'try-ons per second':<44}{'median':>8}{'lowest':>8}{'highest':>8}")
    for orchestrators, found in rates.items():
        print(f"{f'{orchestrators} orchestrator(s)':<44}{median(found):>8.0f}{min(found):>8.0f}{max(found):>8.0f}")
    print(f"\n{f'milliseconds, at {PER_SECOND:g} a second':<44}{'p50':>8}{'p99':>8}")
    for title, times in (("submit to answer", taken), (f"floor: {TRIPS} bare trips", floor)):
        print(f"{title:<44}{median(times):>8.1f}{quantiles(times, n=100)[98]:>8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
