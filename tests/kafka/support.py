"""What the tests of Kafka share: a stage that does what a test tells it, ways to run it, and eyes on the topics."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Record
from confluent_kafka.admin import AdminClient
from PIL import Image
from pydantic import ConfigDict

from orchestrator.steps import STEPS
from shared_utils.artifacts.paths import write_whole
from shared_utils.comfy.loader import Models
from shared_utils.comfy.progress import comfy_hook, running
from shared_utils.contracts import OutputOptions, Request, Success
from shared_utils.errors import OutOfMemoryError, VtryonError
from shared_utils.settings import Settings
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.client import make_reader
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.messages import headers_of
from shared_utils.transports.kafka.reading import ends, next_batch, read_to_the_end
from shared_utils.transports.kafka.sending import Outgoing, produce
from shared_utils.transports.kafka.settings import KafkaSettings, WorkerSettings

PATIENCE = 60.0
PARTITIONS = 4
SESSION = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
"""The shortest that a broker allows by default: what is dead or stopped is noticed soon."""
ROOT = Path(__file__).resolve().parents[2]
LOOK = threading.Event()
"""Never set: a file of another process can't be waited for, so it is looked at again and again."""


def until(what: Callable[[], Any], why: str, patience: float = PATIENCE) -> Any:
    """What it returns as soon as that is true, or a failed test."""
    deadline = time.monotonic() + patience
    while not (found := what()):
        assert time.monotonic() < deadline, f"waited in vain: {why}"
        LOOK.wait(0.02)
    return found


# ---- the stage


class PuppetRequest(OutputOptions, Request):
    model_config = ConfigDict(extra="allow")

    steps: int = 4


class PuppetSuccess(Success):
    model_config = ConfigDict(extra="allow")


class PuppetError(VtryonError):
    code = "PUPPET_BROKEN"


class Puppet:
    """A stage whose strings are files in a folder, so that a test can pull them from another process."""

    request_type = PuppetRequest
    response_type = PuppetSuccess
    options = OutputOptions()

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.verb = "do"
        self.models = Models(Settings())
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)

    def warm_up(self) -> None:
        """Nothing to load."""

    def run(self, request: PuppetRequest) -> PuppetSuccess:
        self._note("begun", request.request_id)
        with running("Puppet"):
            self._hold(request.request_id)
            for done in range(request.steps):
                comfy_hook(done + 1, request.steps, ("JPEG", Image.new("RGB", (400, 300)), 512))
        self._fail()
        files = {name: str(Path(request.output_dir) / f"{name}_{request.request_id}.txt") for name in self._gives()}
        write_whole({Path(path): request.request_id.encode() for path in files.values()})
        self._note("done", request.request_id)
        return PuppetSuccess.to(request, **files)

    def _gives(self) -> Sequence[str]:
        return STEPS[self.name].gives if self.name in STEPS else ("artifact_path",)

    def _hold(self, name: str) -> None:
        while (self.folder / "hold").exists() or (self.folder / f"hold {name}").exists():
            if not (self.folder / "deaf").exists():
                comfy_hook(0, 0)
            LOOK.wait(0.02)

    def _fail(self) -> None:
        file = self.folder / "fail"
        if file.exists():
            times, kind = file.read_text().split()
            if times == "1":
                file.unlink()
            else:
                file.write_text(f"{int(times) - 1} {kind}")
            raise OutOfMemoryError("for a while") if kind == "passing" else PuppetError("for good")

    def _note(self, what: str, name: str) -> None:
        with (self.folder / "log").open("a") as lines:
            lines.write(f"{what} {name} {os.getpid()}\n")

    # ---- the strings

    def hold(self, request_id: str | None = None) -> None:
        """Let jobs wait, all or this one."""
        (self.folder / (f"hold {request_id}" if request_id else "hold")).touch()

    def deaf(self) -> None:
        """Have jobs that wait not notice that they are to stop, as in the middle of a node."""
        (self.folder / "deaf").touch()

    def go(self) -> None:
        for file in self.folder.glob("hold*"):
            file.unlink()

    def fail(self, times: int = 1, kind: str = "lasting") -> None:
        (self.folder / "fail").write_text(f"{times} {kind}")

    def log(self, what: str, request_id: str | None = None) -> list[int]:
        """The processes in which jobs have begun, or are done."""
        file = self.folder / "log"
        lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        return [int(pid) for noted, name, pid in lines if noted == what and request_id in (None, name)]

    def wait_begun(self, times: int = 1, request_id: str | None = None) -> None:
        until(lambda: len(self.log("begun", request_id)) >= times, f"{self.name} began {times} times")


def puppets(folder: Path) -> dict[str, Puppet]:
    """One for each step of the workflow."""
    return {name: Puppet(name, folder) for name in STEPS}


# ---- brokers and settings


def properties_for(broker: EmbeddedBroker | ApacheKafka, **others: Any) -> dict[str, Any]:
    fast = {"fetch.wait.max.ms": 5} if isinstance(broker, EmbeddedBroker) else {}
    return fast | others


def connection(broker: EmbeddedBroker | ApacheKafka, **properties: Any) -> dict[str, Any]:
    """Settings by which this broker is reached: in the group protocol in which it forms groups quickly."""
    return {
        "kafka_bootstrap_servers": broker.bootstrap,
        "kafka_properties": properties_for(broker, **properties),
        "kafka_group_protocol": "consumer" if isinstance(broker, EmbeddedBroker) else "classic",
    }


def environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """The same settings for another process."""
    given = {name.upper(): json.dumps(v) if isinstance(v, dict | list) else str(v) for name, v in settings.items()}
    return {**os.environ, **given, "PYTHONPATH": str(ROOT)}


def emptied(broker: EmbeddedBroker | ApacheKafka) -> None:
    """All topics are there, with nothing in them."""
    settings = KafkaSettings(kafka_bootstrap_servers=broker.bootstrap)
    if isinstance(broker, ApacheKafka):
        made = topics.create(settings, partitions=PARTITIONS)
        if made:
            wait_topics(settings, *made)
        else:
            empty(settings)
    else:
        topics.check(settings)


def empty(settings: KafkaSettings) -> None:
    client = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})
    wanted = [place for place in all_ends(settings, *(topic.name for topic in topics.TOPICS)) if place.offset]
    if wanted:
        for deleted in client.delete_records(wanted).values():
            deleted.result()


def all_ends(settings: KafkaSettings, *names: str) -> list[TopicPartition]:
    """Where the partitions of these topics end."""
    reader = make_reader(settings, **{"isolation.level": "read_uncommitted"})
    try:
        counts = {name: len(reader.list_topics(name, timeout=PATIENCE).topics[name].partitions) for name in names}
        places = [TopicPartition(name, n) for name, count in counts.items() for n in range(count)]
        for place in places:
            place.offset = reader.get_watermark_offsets(place, timeout=PATIENCE)[1]
        return places
    finally:
        reader.close()


def wait_topics(settings: KafkaSettings, *names: str) -> None:
    """Until somebody leads each of their partitions: that is a moment after they were made."""

    def led() -> bool:
        # Asked for, they appear on the broker in memory.
        if not all(topics.partition_counts(settings, names).values()):
            return False
        try:
            return bool(all_ends(settings, *names))
        except KafkaException:
            return False

    until(led, f"{names} can be used")


def fresh(prefix: str = "test") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


# ---- running things


class Told(threading.Thread):
    """A thread that stands in for a process: its `stopping` takes the place of the signals."""

    def __init__(self, work: Callable[[], Any], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()
        self.failure: BaseException | None = None
        self._work = work

    def run(self) -> None:
        try:
            self._work()
        except BaseException as failure:
            self.failure = failure

    def finish(self, patience: float = PATIENCE) -> None:
        self.stopping.set()
        self.join(patience)
        assert not self.is_alive(), f"{self.name} does not end"
        if self.failure is not None:
            raise self.failure


@contextmanager
def stopped_by_its_thread() -> Iterator[threading.Event]:
    """In place of stopped_by_signals, which only a main thread can use."""
    thread = threading.current_thread()
    assert isinstance(thread, Told)
    yield thread.stopping


@contextmanager
def in_thread(work: Callable[[], Any], name: str = "told") -> Iterator[Told]:
    thread = Told(work, name)
    thread.start()
    try:
        yield thread
    finally:
        thread.finish()


class Process:
    """One of our commands, as a process with a log."""

    def __init__(self, *command: str, env: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as written:
            self._process = subprocess.Popen(
                [sys.executable, *command], env=dict(env), cwd=log.parent, stdout=written, stderr=subprocess.STDOUT
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self) -> int:
        return self._process.wait(PATIENCE)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Until it has logged that."""
        until(
            lambda: self.log.read_text().count(text) >= times or self._process.poll() is not None,
            f"{text!r} in\n{self.log.read_text()}",
        )
        assert self.log.read_text().count(text) >= times, self.log.read_text()


def stage_process(puppet: Puppet, settings: Mapping[str, Any], log: Path) -> Process:
    script = str(Path(__file__).with_name("stage_process.py"))
    return Process(script, puppet.name, str(puppet.folder.parent), env=environment(settings), log=log)


def engine_process(settings: Mapping[str, Any], log: Path) -> Process:
    return Process("-m", "orchestrator", env=environment(settings), log=log)


# ---- eyes and mouths


@dataclass(frozen=True)
class Seen:
    """A record as a test looks at it."""

    topic: str
    partition: int
    offset: int
    key: str | None
    value: Any
    headers: dict[str, str]
    record: Record = field(repr=False)

    @classmethod
    def of(cls, record: Record) -> "Seen":
        value, key = record.value(), record.key()
        try:
            fields = json.loads(value) if value is not None else None
        except (ValueError, RecursionError):
            fields = value
        shown = bytes(key).decode(errors="replace") if key is not None else None
        place = str(record.topic()), int(record.partition() or 0), int(record.offset() or 0)
        return cls(*place, shown, fields, headers_of(record), record)

    def about(self, name: str) -> bool:
        """Whether it belongs to the request or the try-on of this name."""
        fields = self.value if isinstance(self.value, dict) else {}
        return name in (fields.get("request_id"), fields.get("correlation_id"), self.headers.get("correlation_id"))


class Eyes:
    """Sees what is committed on some topics from now on."""

    def __init__(self, settings: KafkaSettings, *names: str) -> None:
        self._reader = make_reader(settings)
        self._reader.assign(all_ends(settings, *names))
        self.seen: list[Seen] = []

    def close(self) -> None:
        self._reader.close()

    def wait(self, wanted: Callable[[Seen], bool], count: int = 1, patience: float = PATIENCE) -> list[Seen]:
        """The first so many records like that."""
        deadline = time.monotonic() + patience
        while len(found := [each for each in self.seen if wanted(each)]) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} came. The last: {self.seen[-5:]}"[:5000]
            self.seen += [Seen.of(record) for record in next_batch(self._reader, 500, 0.5) if not record.error()]
        return found

    def one(self, topic: str, name: str, **fields: Any) -> Seen:
        """The record about this name with these fields."""

        def wanted(each: Seen) -> bool:
            return (
                each.topic == topic
                and each.about(name)
                and (not fields or (isinstance(each.value, dict) and fields.items() <= each.value.items()))
            )

        return self.wait(wanted)[0]


def everything(settings: KafkaSettings, topic: str, name: str | None = None) -> list[Seen]:
    """All that a reader of committed messages finds there."""
    found = [Seen.of(record) for record in read_to_the_end(settings, topic)]
    return [each for each in found if name is None or each.about(name)]


@cache
def _mouth(bootstrap: str) -> Producer:
    return Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "message.max.bytes": 4_000_000, "log_level": 0})


def say(
    settings: KafkaSettings,
    topic: str,
    *values: Any,
    key: str | None = None,
    partition: int = -1,
    headers: Mapping[str, Any] | None = None,
) -> None:
    """Send values: bytes and None as they are, anything else as JSON."""
    mouth, failed = _mouth(settings.kafka_bootstrap_servers), list[Any]()
    for value in values:
        content = value if isinstance(value, bytes | None) else json.dumps(value).encode()
        record = Outgoing(topic, key, content, dict(headers or {}), partition)
        produce(mouth, record, lambda error, _: failed.append(error) if error else None)
    assert mouth.flush(PATIENCE) == 0
    assert not failed, failed


# ---- a stage's own corner of a broker


@dataclass
class Corner:
    """Topics and a group of its own for one stage, so that tests do not see each other's."""

    settings: WorkerSettings
    given: dict[str, Any]
    requests: str
    responses: str
    group: str

    @property
    def dead(self) -> str:
        return topics.dead_letter_topic(self.requests)

    def ask(self, fields: Any, **others: Any) -> None:
        say(self.settings, self.requests, fields, **others)


def corner(broker: EmbeddedBroker | ApacheKafka, **settings: Any) -> Corner:
    name = fresh("stage")
    requests, responses, group = f"{name}-requests", f"{name}-responses", f"{name}-group"
    given = connection(broker) | {
        "kafka_request_topic": requests,
        "kafka_response_topic": responses,
        "kafka_consumer_group": group,
        "kafka_retry_backoff_seconds": 0.05,
    }
    given |= settings
    if isinstance(broker, ApacheKafka):
        make_topics(broker, requests, responses)
        make_topics(broker, topics.dead_letter_topic(requests), **{"max.message.bytes": "2097152"})
    read = WorkerSettings(**given)
    wait_topics(read, requests, responses, topics.dead_letter_topic(requests))
    return Corner(read, given, requests, responses, group)


def make_topics(broker: ApacheKafka, *names: str, **config: str) -> None:
    from confluent_kafka.cimpl import NewTopic

    client = AdminClient({"bootstrap.servers": broker.bootstrap})
    wanted = [NewTopic(name, PARTITIONS, config=config) for name in names]
    for made in client.create_topics(wanted, operation_timeout=PATIENCE).values():
        made.result()


def unread(settings: KafkaSettings, group: str, topic: str) -> int:
    """How many messages of the topic the group has not committed."""
    asking = make_reader(settings, **{"group.id": group})
    try:
        places = asking.committed([TopicPartition(topic, n) for n in ends(settings, topic)], timeout=PATIENCE)
        bounds = [asking.get_watermark_offsets(each, timeout=PATIENCE) for each in places]
        # Where nothing was committed, what is left of the topic counts.
        return sum(high - max(each.offset, low) for each, (low, high) in zip(places, bounds, strict=True))
    finally:
        asking.close()


def wait_all_read(settings: KafkaSettings, group: str, topic: str) -> None:
    until(lambda: unread(settings, group, topic) == 0, f"{group} read all of {topic}")


def members(broker: ApacheKafka, group: str) -> dict[str, set[tuple[str, int]]]:
    """Who is in the group, and what each has."""
    client = AdminClient({"bootstrap.servers": broker.bootstrap})
    found = client.describe_consumer_groups([group])[group].result()
    return {
        each.member_id: {(place.topic, place.partition) for place in each.assignment.topic_partitions}
        for each in found.members
    }


def wait_members(broker: ApacheKafka, group: str, count: int) -> dict[str, set[tuple[str, int]]]:
    """So many members share the partitions, each has some."""

    def settled() -> dict[str, set[tuple[str, int]]] | None:
        found = members(broker, group)
        return found if len(found) == count and all(found.values()) else None

    shared: dict[str, set[tuple[str, int]]] = until(settled, f"{count} members in {group}")
    return shared
