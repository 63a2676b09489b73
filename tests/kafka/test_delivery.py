"""Nothing is lost and nothing is done twice, as far as a reader of committed messages can see: on Apache Kafka, with
processes that are killed, stopped and overtaken."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition

from orchestrator.restore import restored
from orchestrator.steps import STEPS
from shared_utils.errors import InternalError
from shared_utils.transports.kafka import host, topics
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.client import make_consumer, make_transactional_producer
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.reading import ends, next_batch
from shared_utils.transports.kafka.sending import Outgoing
from shared_utils.transports.kafka.transactions import (
    FencedError,
    TransactionAbortedError,
    group_metadata,
    in_transaction,
)
from tests.kafka.orchestra import Orchestra, orchestra_on
from tests.kafka.support import (
    PATIENCE,
    Corner,
    Eyes,
    Process,
    Puppet,
    Told,
    corner,
    emptied,
    engine_process,
    everything,
    fresh,
    in_thread,
    members,
    say,
    stage_process,
    stopped_by_its_thread,
    unread,
    until,
    wait_all_read,
    wait_members,
)

SESSION = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
"""The shortest that a broker allows by default: what is dead or stopped is noticed soon."""


@pytest.fixture(autouse=True)
def _threads_for_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "stopped_by_signals", stopped_by_its_thread)


class Workshop:
    """Workers of one stage, as processes."""

    def __init__(self, place: Corner, folder: Path) -> None:
        self.place, self.folder = place, folder
        self.puppet = Puppet("puppet", folder)
        self.eyes = Eyes(place.settings, place.responses)
        self.running = ExitStack()

    def worker(self, name: str, **settings: Any) -> Process:
        given = {"kafka_instance_id": name} | self.place.given | settings
        log = self.folder / f"{fresh(name)}.log"
        process = self.running.enter_context(stage_process(self.puppet, given, log))
        process.wait_for("waits for requests")
        return process

    def ask(self, **others: Any) -> str:
        name = fresh("r")
        say(self.place.settings, self.place.requests, {"request_id": name, "output_dir": str(self.folder)}, **others)
        return name

    def answer(self, name: str) -> Any:
        return self.eyes.one(self.place.responses, name).value

    def answers(self, name: str) -> list[Any]:
        """Of all that was committed, once there is nothing left to be done."""
        wait_all_read(self.place.settings, self.place.group, self.place.requests)
        return [each.value["status"] for each in everything(self.place.settings, self.place.responses, name)]


@pytest.fixture
def workshop(apache_kafka: ApacheKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workshop]:
    emptied(apache_kafka)
    properties = getattr(request, "param", {})
    made = Workshop(corner(apache_kafka, kafka_properties=SESSION | properties), tmp_path)
    with made.running:
        yield made
    made.eyes.close()


@pytest.mark.parametrize("workshop", [{"max.poll.interval.ms": 6000}], indirect=True)
def test_a_job_three_times_as_long_as_may_be_between_two_polls(workshop: Workshop, apache_kafka: ApacheKafka) -> None:
    workshop.worker("one")
    workshop.puppet.hold()
    name = workshop.ask()
    workshop.puppet.wait_begun()
    before = members(apache_kafka, workshop.place.group)
    # The one place where time has to pass: the broker and the client count seconds of their own.
    assert not threading.Event().wait(18)
    workshop.puppet.go()
    assert workshop.answer(name)["status"] == "success"
    assert members(apache_kafka, workshop.place.group) == before
    assert workshop.answers(name) == ["success"]
    assert len(workshop.puppet.log("begun", name)) == 1


def test_the_end_of_a_partition_is_not_committed_before_what_lies_before_it(workshop: Workshop) -> None:
    """Two requests on a partition. The second is read while the first is done, and so is the end behind it."""
    one = workshop.worker("one")
    workshop.puppet.hold()
    first, second = workshop.ask(partition=0), workshop.ask(partition=0)
    workshop.puppet.wait_begun(request_id=first)
    workshop.puppet.hold(second)
    (workshop.puppet.folder / "hold").unlink()
    workshop.puppet.wait_begun(request_id=second)
    one.send(signal.SIGKILL)
    one.ended()
    assert unread(workshop.place.settings, workshop.place.group, workshop.place.requests) == 1
    workshop.puppet.go()
    workshop.worker("two")
    assert workshop.answers(first) == workshop.answers(second) == ["success"]


def test_markers_of_transactions_are_committed_too(workshop: Workshop) -> None:
    """Beside a job in hand, and without one: what is done leaves no lag."""
    producer = make_transactional_producer(workshop.place.settings, fresh("asks"))
    producer.begin_transaction()
    request = {"request_id": fresh("r"), "output_dir": str(workshop.folder)}
    producer.produce(workshop.place.requests, json.dumps(request), partition=0)
    producer.commit_transaction(PATIENCE)
    workshop.puppet.hold()
    workshop.worker("one")
    workshop.puppet.wait_begun()
    # Of the job in hand nothing is committed; the marker behind it counts too.
    assert unread(workshop.place.settings, workshop.place.group, workshop.place.requests) == 2
    workshop.puppet.go()
    assert workshop.answers(request["request_id"]) == ["success"]
    producer.begin_transaction()
    producer.produce(workshop.place.requests, json.dumps(request), partition=1)
    producer.abort_transaction(PATIENCE)
    wait_all_read(workshop.place.settings, workshop.place.group, workshop.place.requests)
    assert workshop.answers(request["request_id"]) == ["success"]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_others_come_and_go_in_mid_job(apache_kafka: ApacheKafka, tmp_path: Path, protocol: str) -> None:
    emptied(apache_kafka)
    properties = SESSION if protocol == "classic" else {}
    place = corner(apache_kafka, kafka_group_protocol=protocol, kafka_properties=properties)
    workshop = Workshop(place, tmp_path)
    with workshop.running:
        first = workshop.worker("one")
        workshop.puppet.hold()
        names = [workshop.ask(partition=number) for number in range(4)]
        workshop.puppet.wait_begun()
        second = workshop.worker("two")
        # Either the partition of the job in hand is among those that are to move, and has to wait, or it is not.
        until(
            lambda: len(workshop.puppet.log("begun")) == 2 or "is to move" in first.log.read_text(),
            "the second has got some partitions, or is about to",
        )
        second.send(signal.SIGTERM)
        third = workshop.worker("three")
        workshop.puppet.go()
        for name in names:
            assert workshop.answer(name)["status"] == "success"
        third.send(signal.SIGTERM)
        assert (second.ended(), third.ended()) == (0, 0)
        for name in names:
            assert workshop.answers(name) == ["success"]
    workshop.eyes.close()


def test_a_worker_is_killed_in_mid_job(workshop: Workshop) -> None:
    first = workshop.worker("one")
    workshop.puppet.hold()
    name = workshop.ask()
    workshop.puppet.wait_begun()
    workshop.worker("two")
    first.send(signal.SIGKILL)
    workshop.puppet.wait_begun(2, name)
    workshop.puppet.go()
    assert workshop.answer(name)["status"] == "success"
    assert workshop.answers(name) == ["success"]
    assert len(workshop.puppet.log("done", name)) == 1


def test_a_worker_is_killed_before_its_artifact_is_known(workshop: Workshop) -> None:
    """The work is done, its result is not: another does it again, under the same names."""
    first = workshop.worker("one")
    first.send(signal.SIGSTOP)
    name = workshop.ask()
    first.send(signal.SIGKILL)
    workshop.worker("two")
    answer = workshop.answer(name)
    assert Path(answer["artifact_path"]).name == f"artifact_path_{name}.txt"
    assert workshop.answers(name) == ["success"]


def test_a_worker_told_to_end_finishes_its_job(workshop: Workshop) -> None:
    worker = workshop.worker("one")
    workshop.puppet.hold()
    name, left = workshop.ask(partition=0), workshop.ask(partition=0)
    workshop.puppet.wait_begun()
    worker.send(signal.SIGTERM)
    worker.wait_for("stopping")
    workshop.puppet.go()
    assert worker.ended() == 0
    assert [each.value["request_id"] for each in everything(workshop.place.settings, workshop.place.responses)] == [
        name
    ]
    assert unread(workshop.place.settings, workshop.place.group, workshop.place.requests) == 1
    workshop.worker("two")
    assert workshop.answer(left)["status"] == "success"
    assert workshop.answers(name) == ["success"]
    assert len(workshop.puppet.log("begun", name)) == 1


def test_a_worker_told_to_end_hands_back_what_takes_too_long(workshop: Workshop) -> None:
    worker = workshop.worker("one", kafka_drain_seconds=0.3)
    workshop.puppet.hold()
    name = workshop.ask()
    workshop.puppet.wait_begun()
    worker.send(signal.SIGTERM)
    assert worker.ended() == 0
    assert "left to another worker" in worker.log.read_text()
    workshop.worker("two")
    workshop.puppet.wait_begun(2, name)
    workshop.puppet.go()
    assert workshop.answer(name)["status"] == "success"
    assert workshop.answers(name) == ["success"]


def test_a_job_that_can_not_be_stopped_keeps_no_worker(workshop: Workshop) -> None:
    worker = workshop.worker("one", kafka_drain_seconds=0.3)
    workshop.puppet.deaf()
    workshop.puppet.hold()
    name = workshop.ask()
    workshop.puppet.wait_begun()
    worker.send(signal.SIGTERM)
    assert worker.ended() == 0
    assert "without a word" not in worker.log.read_text()
    workshop.worker("two")
    workshop.puppet.wait_begun(2, name)
    workshop.puppet.go()
    assert workshop.answer(name)["status"] == "success"
    assert workshop.answers(name) == ["success"]


def test_a_worker_stopped_past_its_session_says_nothing(workshop: Workshop, apache_kafka: ApacheKafka) -> None:
    first = workshop.worker("one")
    workshop.puppet.hold()
    name = workshop.ask()
    workshop.puppet.wait_begun()
    workshop.worker("two")
    first.send(signal.SIGSTOP)
    workshop.puppet.wait_begun(2, name)
    workshop.puppet.go()
    assert workshop.answer(name)["status"] == "success"
    first.send(signal.SIGCONT)
    given_up = ("starts over", "dropped", "left to whoever")
    until(lambda: any(text in first.log.read_text() for text in given_up), "the first has found out")
    again = [workshop.ask(partition=number) for number in range(4)]
    for each in again:
        workshop.answer(each)
    assert workshop.answers(name) == ["success"]


def test_two_workers_of_one_name(workshop: Workshop) -> None:
    """Of two processes with one transactional id the older is shut out; what it has in hand is not done twice."""
    first = workshop.worker("same")
    workshop.puppet.hold()
    name = workshop.ask(partition=0)
    workshop.puppet.wait_begun()
    second = workshop.worker("same")
    workshop.puppet.go()
    assert workshop.answer(name)["status"] == "success"
    first.wait_for("a transaction failed")
    second.send(signal.SIGTERM)
    assert second.ended() == 0
    others = [workshop.ask(partition=number) for number in range(4)]
    for each in others:
        assert workshop.answers(each) == ["success"]
    assert workshop.answers(name) == ["success"]


def test_a_defect_ends_the_whole_process(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage's thread must not die alone: its process would look healthy, and do nothing."""

    def defect(worker: Any, stopping: threading.Event) -> None:
        raise KeyError("defect")

    monkeypatch.setattr("shared_utils.transports.kafka.worker.Worker.run", defect)
    settings = workshop.place.settings.model_copy(update={"kafka_instance_id": fresh()})
    worker = Told(lambda: host.run_workers([workshop.puppet], settings), "worker")
    worker.start()
    worker.join(PATIENCE)
    assert isinstance(worker.failure, InternalError)
    assert "KeyError" in worker.failure.message


def test_a_commit_whose_outcome_is_unknown(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was committed, but the worker does not hear of it: it must look before it sends its result again."""
    lost: list[str] = []

    def answer_is_lost(*given: Any) -> None:
        in_transaction(*given)
        if not lost:
            lost.append("this one")
            raise FencedError("the outcome is unknown")

    monkeypatch.setattr("shared_utils.transports.kafka.worker.in_transaction", answer_is_lost)
    settings = workshop.place.settings.model_copy(update={"kafka_instance_id": fresh()})
    with in_thread(lambda: host.run_workers([workshop.puppet], settings)):
        name = workshop.ask(partition=0)
        workshop.answer(name)
        workshop.answer(workshop.ask(partition=0))
        assert workshop.answers(name) == ["success"]
    assert lost


# ---- the orchestrator


@pytest.fixture
def orchestra(apache_kafka: ApacheKafka, tmp_path: Path) -> Iterator[Orchestra]:
    emptied(apache_kafka)
    with orchestra_on(apache_kafka, tmp_path) as made:
        yield made


def engine(orchestra: Orchestra, name: str, **settings: Any) -> Process:
    given = orchestra.given | {"kafka_properties": SESSION, "kafka_instance_id": name} | settings
    process = orchestra.running.enter_context(engine_process(given, orchestra.folder / f"{fresh(name)}.log"))
    process.wait_for("waits for try-ons")
    return process


@pytest.mark.parametrize("deadlines_pass", [False, True], ids=["answers", "deadlines"])
def test_an_engine_stopped_past_its_session_says_nothing(
    orchestra: Orchestra, apache_kafka: ApacheKafka, deadlines_pass: bool
) -> None:
    seconds = {"latent_encoder": 5.0} if deadlines_pass else {}
    first = engine(orchestra, "first", step_seconds=seconds, step_attempts=1)
    wait_members(apache_kafka, orchestra.group, 1)
    names = [orchestra.ask(partition=number) for number in range(4)]
    for name in names:
        orchestra.asked("text_encoder", name)
        orchestra.status(name, "running")
    first.send(signal.SIGSTOP)
    if not deadlines_pass:
        for name in names:
            for step in ("latent_encoder", "text_encoder"):
                orchestra.reply(step, orchestra.asked(step, name))
    second = engine(orchestra, "second", step_seconds=seconds, step_attempts=1)
    second.wait_for("took up")
    if not deadlines_pass:
        orchestra.workers("sampling", "decoding")
    answers = [orchestra.answer(name).value for name in names]
    first.send(signal.SIGCONT)
    wait_members(apache_kafka, orchestra.group, 2)
    first.wait_for("took up", 2)
    last = orchestra.ask(partition=0), orchestra.ask(partition=3)
    for name in last:
        orchestra.asked("latent_encoder", name)
    assert {answer.get("error_code") for answer in answers} == {"STEP_TIMED_OUT" if deadlines_pass else None}
    for name in names:
        assert len(orchestra.all(topics.TRYON_RESPONSES, name)) == 1
        assert len(orchestra.all(topics.dead_letter_topic(topics.TRYON_REQUESTS), name)) == int(deadlines_pass)
        for step in STEPS:
            assert len(orchestra.all(topics.request_topic(step), name)) <= 1


def test_who_has_lost_the_partitions_can_commit_nothing_not_even_without_offsets(apache_kafka: ApacheKafka) -> None:
    """What an engine decides because a deadline has passed comes from no message, and must be refused all the same."""
    place = corner(apache_kafka)
    consumer = make_consumer(place.settings, place.group)
    other = make_consumer(place.settings, place.group)
    producer = make_transactional_producer(place.settings, fresh("engine"))
    try:
        consumer.subscribe([place.requests])
        until(lambda: consumer.poll(0.1) or consumer.assignment(), "assigned")
        stale = group_metadata(consumer)
        other.subscribe([place.requests])
        until(lambda: consumer.poll(0.1) or other.poll(0.1) or other.assignment(), "shared")
        record = Outgoing(place.responses, "key", b"{}")
        for offsets in ([TopicPartition(place.requests, 0, 0)], []):
            with pytest.raises(TransactionAbortedError if offsets else ValueError):
                in_transaction(producer, [record], offsets, stale)
    finally:
        consumer.close()
        other.close()
    assert everything(place.settings, place.responses) == []


def test_a_passed_deadline_does_not_take_back_what_was_read(orchestra: Orchestra) -> None:
    """Its transaction has to commit some offset, but none that is behind."""
    orchestra.engine()
    name = orchestra.ask(partition=0)
    orchestra.asked("latent_encoder", name)
    orchestra.cancel(name, 0)
    orchestra.answer(name)
    wait_all_read(orchestra.settings, orchestra.group, topics.TRYON_CANCELS)
    orchestra.stop()
    orchestra.engine(step_seconds={"latent_encoder": 0.1}, step_attempts=1)
    late = orchestra.ask(partition=0)
    assert orchestra.answer(late).value["error_code"] == "STEP_TIMED_OUT"
    orchestra.stop()
    assert unread(orchestra.settings, orchestra.group, topics.TRYON_CANCELS) == 0


def test_an_engine_is_killed_at_any_time(orchestra: Orchestra) -> None:
    orchestra.workers()
    names = []
    for _ in range(3):
        process = engine(orchestra, "same")
        names += [orchestra.ask(partition=number % 4) for number in range(8)]
        orchestra.asked("sampling", names[-8])
        process.send(signal.SIGKILL)
        process.ended()
    engine(orchestra, "same")
    for name in names:
        assert orchestra.answer(name).value["status"] == "success"
    responses = [each.value["correlation_id"] for each in orchestra.all(topics.TRYON_RESPONSES)]
    assert sorted(responses) == sorted(names)
    for step in STEPS:
        asked = [each.value["correlation_id"] for each in orchestra.all(topics.request_topic(step))]
        assert sorted(asked) == sorted(names)


def test_restoring_waits_for_the_transaction_of_a_dead_engine(orchestra: Orchestra) -> None:
    name = orchestra.ask()
    orchestra.engine()
    state = orchestra.status(name, "running")
    orchestra.stop()
    codec = JsonCodec()
    dead = Producer({"bootstrap.servers": orchestra.broker.bootstrap, "transactional.id": fresh("dead"),
                     "transaction.timeout.ms": 60_000})  # fmt: skip
    dead.init_transactions(PATIENCE)
    for commits in (False, True):
        other = fresh("c")
        value = codec.encode("", state.value | {"correlation_id": other})
        dead.begin_transaction()
        dead.produce(topics.TRYON_STATUS, key=other, value=value, partition=2, headers={"state": "running"})
        assert dead.flush(PATIENCE) == 0
        found: dict[int, Any] = {}
        read = threading.Thread(target=_restore, args=(orchestra, found), daemon=True)
        behind = ends(orchestra.settings, topics.TRYON_STATUS)[2]
        read.start()
        read.join(1)
        assert read.is_alive(), "it went on without waiting for the open transaction"
        (dead.commit_transaction if commits else dead.abort_transaction)(PATIENCE)
        read.join(PATIENCE)
        assert not read.is_alive()
        assert (other in found[2].running) is commits
        assert ends(orchestra.settings, topics.TRYON_STATUS)[2] == behind + 1


def _restore(orchestra: Orchestra, found: dict[int, Any]) -> None:
    found.update(restored(orchestra.settings, JsonCodec(), [2]))


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_engines_share_by_partition_number(orchestra: Orchestra, apache_kafka: ApacheKafka, protocol: str) -> None:
    properties = SESSION if protocol == "classic" else {}
    settings = {"kafka_group_protocol": protocol, "kafka_properties": properties}
    orchestra.workers(kafka_group_protocol=protocol)
    stopped = []
    for count in (1, 2, 3):
        stopped.append(engine(orchestra, f"engine{count}", **settings))
        shared = wait_members(apache_kafka, orchestra.group, count)
        for places in shared.values():
            numbers = {number for _, number in places}
            assert len(places) == 6 * len(numbers)
        names = [orchestra.ask(partition=number) for number in range(4)]
        for name in names:
            assert orchestra.answer(name).value["status"] == "success"
    for left in (2, 1):
        stopped.pop(0).send(signal.SIGTERM)
        wait_members(apache_kafka, orchestra.group, left)
        name = orchestra.ask(partition=left)
        assert orchestra.answer(name).value["status"] == "success"
    assert len(orchestra.all(topics.TRYON_RESPONSES)) == 14
    assert len({each.value["correlation_id"] for each in orchestra.all(topics.TRYON_RESPONSES)}) == 14


def test_the_limit_holds_and_is_lifted_across_a_rebalance(orchestra: Orchestra, apache_kafka: ApacheKafka) -> None:
    """What was paused before must not stay paused for ever after."""
    engine(orchestra, "first", max_in_flight=1)
    names = [orchestra.ask(partition=number) for number in range(4)]
    first = orchestra.eyes.wait(lambda each: each.topic == topics.request_topic("latent_encoder"))[0]
    second = engine(orchestra, "second", max_in_flight=1)
    wait_members(apache_kafka, orchestra.group, 2)
    second.send(signal.SIGTERM)
    assert second.ended() == 0
    wait_members(apache_kafka, orchestra.group, 1)
    orchestra.workers()
    for name in names:
        assert orchestra.answer(name).value["status"] == "success"
    assert first.value["correlation_id"] in names


def test_a_rebalance_between_two_records_of_a_batch(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client may tell of it while a batch is still put together: what was read before is not ours any more."""
    from orchestrator import engine as module

    name = orchestra.ask(partition=1)
    running = []
    made = module.Engine.__init__

    def remembered(self: Any, *given: Any) -> None:
        running.append(self)
        made(self, *given)

    def disturbed(consumer: Any, most: int, timeout: float) -> Any:
        batch = real(consumer, most, timeout)
        if batch and not disturbances:
            disturbances.append(len(batch))
            places = consumer.assignment()
            running[-1]._on_revoke(consumer, places)
            consumer.unassign()
            running[-1]._on_assign(consumer, places)
            consumer.assign([TopicPartition(each.topic, each.partition) for each in places])
        return batch

    real, disturbances = next_batch, list[int]()
    monkeypatch.setattr(module.Engine, "__init__", remembered)
    monkeypatch.setattr(module, "next_batch", disturbed)
    orchestra.engine()
    orchestra.asked("latent_encoder", name)
    assert disturbances


def test_an_unknown_partitioner_and_no_key(orchestra: Orchestra) -> None:
    """All of a try-on lives on the number of the partition that its request came on."""
    orchestra.engine()
    orchestra.workers()
    third_party = Producer({"bootstrap.servers": orchestra.broker.bootstrap, "partitioner": "murmur2_random"})
    homes = {}

    def landed(error: Any, record: Any) -> None:
        homes[json.loads(record.value())["correlation_id"]] = record.partition()

    for number in range(12):
        request = json.dumps(orchestra.request()).encode()
        key = None if number % 2 else fresh("some-key")
        third_party.produce(topics.TRYON_REQUESTS, key=key, value=request, on_delivery=landed)
    assert third_party.flush(PATIENCE) == 0
    assert len(set(homes.values())) > 1
    for name, home in homes.items():
        assert orchestra.answer(name).partition == home
    for topic in (topics.TRYON_STATUS, *map(topics.response_topic, STEPS)):
        found = orchestra.all(topic)
        assert {each.value["correlation_id"] for each in found} == homes.keys()
        assert all(each.partition == homes[each.value["correlation_id"]] for each in found)
        assert topic == topics.TRYON_STATUS or len(found) == len(homes)
