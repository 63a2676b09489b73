"""Kill a process every second, and see whether a try-on is lost, answered twice, or left with a torn file.

Apache Kafka, two orchestrators, two workers for each stage; stages that take 50 to 200 ms and write real files. Once
the first try-on is answered, every second one of these processes, chosen at random, ends by SIGKILL and is started
again. Exit code 1 if anything was lost, repeated or torn.
"""

import argparse
import itertools
import json
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from processes import Child, all_stopped, environment, python
from stand_ins import checked

from shared_utils.errors import VtryonError
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.client import make_producer, make_reader
from shared_utils.transports.kafka.messages import WORKER, JsonCodec, headers_of
from shared_utils.transports.kafka.reading import next_batch, read_to_the_end
from shared_utils.transports.kafka.sending import Outgoing, produce
from shared_utils.transports.kafka.settings import KafkaSettings

PERIOD = 1.0
ENGINES = WORKERS = 2
FILES = ("image_path", "latent_file_path", "scaled_image_path", "positive_encoding_path", "sampled_latent_path")


@dataclass
class Tally:
    """What came back."""

    submitted: list[str] = field(default_factory=list)
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)

    def lost(self) -> list[str]:
        return [name for name in self.submitted if name not in self.answers]

    def repeated(self) -> list[str]:
        return [name for name, answers in self.answers.items() if len(answers) > 1]

    def ended(self, status: str) -> list[str]:
        return [name for name, answers in self.answers.items() if answers[0]["status"] == status]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tryons", type=int, default=300, help="(default: 300)")
    parser.add_argument("--kills", type=int, default=60, help="at least so many (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="of who is killed (default: 1)")
    parser.add_argument("--minutes", type=float, default=15, help="give up after (default: 15)")
    parser.add_argument("--group-protocol", choices=["classic", "consumer"], default="consumer")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work here, and leave everything for a look")
    given = parser.parse_args()
    random.seed(given.seed)
    logging.getLogger("vtryon").setLevel(logging.CRITICAL)  # of Kafka's absence, which is no news here
    folder = given.keep or Path(tempfile.mkdtemp(prefix="vtryon-chaos-"))
    try:
        return run(given, folder)
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def run(given: argparse.Namespace, folder: Path) -> int:
    logs = folder / "logs"
    logs.mkdir(parents=True)
    started = time.monotonic()
    broker = ApacheKafka(folder / "kafka", dies_with_parent=True)
    broker.start()
    quick = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1500} if given.group_protocol == "classic" else {}
    values = environment(
        broker.bootstrap,
        folder,
        KAFKA_GROUP_PROTOCOL=given.group_protocol,
        KAFKA_PROPERTIES=json.dumps(quick),
        KEEP_INTERMEDIATES="true",
        STEP_SECONDS='{"latent_encoder": 120, "text_encoder": 120, "sampling": 120, "decoding": 120}',
    )
    settings = KafkaSettings(kafka_bootstrap_servers=broker.bootstrap)
    topics.create(settings)
    commands = {f"engine {n}": python("-m", "orchestrator") for n in range(ENGINES)} | {
        f"{stage} {n}": python("benchmarks/stand_ins.py", "--stages", stage)
        for stage, n in itertools.product(topics.STAGES, range(WORKERS))
    }
    children = []
    for name, command in commands.items():
        plain = name.replace(" ", "-")
        children.append(Child(name, command, values, logs / f"{plain}.log"))
    with all_stopped(children):
        for child in children:
            child.start()
        tally = let_loose(given, settings, children, broker, started)
        broken = finish(settings, tally)
    broker.stop()
    return report(tally, broken, time.monotonic() - started)


def let_loose(
    given: argparse.Namespace, settings: KafkaSettings, children: list[Child], broker: ApacheKafka, started: float
) -> Tally:
    """Submit, kill and listen, until everything is answered and enough were killed."""
    tally = Tally()
    producer = make_producer(settings)
    answers = listening(settings)
    # What is killed has begun: a broker that makes its very first partitions has nothing yet that it could keep.
    submit(producer, tally)
    while tally.lost() and time.monotonic() - started < given.minutes * 60:
        listen(answers, tally, time.monotonic() + PERIOD)
    per_kill = -(-given.tryons // max(given.kills, 1))
    next_kill = time.monotonic() + PERIOD
    while time.monotonic() - started < given.minutes * 60:
        listen(answers, tally, next_kill)
        if time.monotonic() < next_kill:
            continue
        next_kill += PERIOD
        for _ in range(min(per_kill, given.tryons - len(tally.submitted))):
            submit(producer, tally)
        producer.poll(0)
        if sum(tally.kills.values()) < given.kills:
            kill_one(children, broker, tally)
            next_kill = max(next_kill, time.monotonic())
        elif len(tally.submitted) == given.tryons and not tally.lost():
            break
        show(tally, given)
    producer.flush(30)
    answers.close()
    print()
    return tally


def kill_one(children: list[Child], broker: ApacheKafka, tally: Tally) -> None:
    victims: list[Child | ApacheKafka] = [*children, broker]
    victim = random.choice(victims)
    name = "broker" if isinstance(victim, ApacheKafka) else victim.name
    victim.kill()
    victim.start()
    tally.kills[name] += 1


def submit(producer: Any, tally: Tally) -> None:
    name = f"chaos-{len(tally.submitted):05}"
    fields = {"correlation_id": name, "person_image_path": "person.png", "garment_image_path": "garment.png"}
    # Like a third party: no key, and so any partition.
    produce(producer, Outgoing(topics.TRYON_REQUESTS, None, JsonCodec().encode(topics.TRYON_REQUESTS, fields)))
    tally.submitted.append(name)


def listening(settings: KafkaSettings) -> Consumer:
    reader = make_reader(settings)
    partitions = topics.counted(settings, topics.TRYON_RESPONSES)[topics.TRYON_RESPONSES]
    reader.assign([TopicPartition(topics.TRYON_RESPONSES, number, 0) for number in range(partitions)])
    return reader


def listen(reader: Consumer, tally: Tally, until: float) -> None:
    for record in next_batch(reader, 500, max(0.0, until - time.monotonic())):
        if record.error() is None:
            answer = JsonCodec().decode(topics.TRYON_RESPONSES, bytes(record.value() or b""))
            tally.answers.setdefault(answer["correlation_id"], []).append(answer)


def finish(settings: KafkaSettings, tally: Tally) -> dict[str, list[str]]:
    """Read everything once more, from the beginning to the end: what came after its try-on was counted, counts too."""
    tally.answers.clear()
    for record in read_to_the_end(settings, topics.TRYON_RESPONSES):
        answer = JsonCodec().decode(topics.TRYON_RESPONSES, bytes(record.value() or b""))
        tally.answers.setdefault(answer["correlation_id"], []).append(answer)
    steps = {
        name: places
        for stage in topics.STAGES
        for name, places in told_by(settings, topics.response_topic(stage)).items()
        if len(places) > 1
    }
    if steps:
        for stage in topics.STAGES:
            asked = told_by(settings, topics.request_topic(stage))
            for name in steps.keys() & asked.keys():
                print(f"{name}: asked at {'; '.join(asked[name])}; answered at {'; '.join(steps[name])}")
    torn = []
    for name in tally.ended("success"):
        for each in FILES:
            try:
                checked(tally.answers[name][0][each], name)
            except VtryonError as wrong:
                torn.append(wrong.message)
    return {"torn": torn, "steps": list(steps)}


def told_by(settings: KafkaSettings, topic: str) -> dict[str, list[str]]:
    """By request: where its records are in the topic, when they were written, and by whom."""
    found: dict[str, list[str]] = {}
    for record in read_to_the_end(settings, topic):
        name = JsonCodec().decode("", bytes(record.value() or b""))["request_id"]
        headers = headers_of(record)
        at = datetime.fromtimestamp(record.timestamp()[1] / 1000, UTC)
        where = f"{topic} {record.partition()}@{record.offset()} {at:%H:%M:%S.%f} {headers.get(WORKER, '')}"
        found.setdefault(name, []).append(where.rstrip())
    return found


def show(tally: Tally, given: argparse.Namespace) -> None:
    kills = sum(tally.kills.values())
    text = (
        f"submitted {len(tally.submitted)}/{given.tryons}  answered {len(tally.answers)}  killed {kills}/{given.kills}"
    )
    print(text, end="\r" if sys.stdout.isatty() else "\n", flush=True)


def report(tally: Tally, broken: dict[str, list[str]], seconds: float) -> int:
    kinds: Counter[str] = Counter()
    for name, count in tally.kills.items():
        kinds[name.split()[0]] += count
    print(f"killed {sum(kinds.values())} in {seconds:.0f} s: {', '.join(f'{n} {c}' for n, c in kinds.most_common())}\n")
    failed = tally.ended("error")
    rows = [
        ("submitted", len(tally.submitted), []),
        ("finished", len(tally.ended("success")), []),
        ("failed", len(failed), [f"{name}: {tally.answers[name][0]['error_message']}" for name in failed]),
        ("steps answered more than once", len(broken["steps"]), broken["steps"]),
        ("answered more than once", len(tally.repeated()), tally.repeated()),
        ("lost", len(tally.lost()), tally.lost()),
        ("artifacts missing or torn", len(broken["torn"]), broken["torn"]),
    ]
    for title, count, examples in rows:
        print(f"{title:<32}{count:>6}  {'; '.join(examples[:3])}".rstrip())
    return 1 if any(count for _, count, _ in rows[3:]) else 0


if __name__ == "__main__":
    sys.exit(main())
