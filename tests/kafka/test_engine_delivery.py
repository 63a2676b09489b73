"""What orchestrators do is neither lost nor done twice, as far as a reader of committed messages sees: on Apache Kafka,
with processes that are killed, stopped and overtaken."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition

from orchestrator.restore import restored
from orchestrator.steps import STEPS
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.client import make_consumer, make_transactional_producer
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.reading import ends, next_batch
from shared_utils.transports.kafka.sending import Outgoing
from shared_utils.transports.kafka.transactions import (
    TransactionAbortedError,
    group_metadata,
    in_transaction,
)
from tests.kafka.orchestra import Orchestra, orchestra_on
from tests.kafka.support import (
    PATIENCE,
    SESSION,
    Process,
    corner,
    emptied,
    engine_process,
    everything,
    fresh,
    unread,
    until,
    wait_all_read,
    wait_members,
)


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
