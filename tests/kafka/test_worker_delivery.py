"""What workers do is neither lost nor done twice, as far as a reader of committed messages sees: on Apache Kafka, with
processes that are killed, stopped and overtaken."""

import gc
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from shared_utils.errors import InternalError
from shared_utils.transports.kafka import host
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.client import make_transactional_producer
from shared_utils.transports.kafka.transactions import FencedError, MembershipLostError, in_transaction
from shared_utils.transports.kafka.worker import Worker
from tests.kafka.support import (
    PATIENCE,
    SESSION,
    Corner,
    Eyes,
    Process,
    Puppet,
    Told,
    corner,
    emptied,
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
)


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

    def worker_here(self) -> AbstractContextManager[Told]:
        """A worker that is no process of its own, so that a test can look into it."""
        settings = self.place.settings.model_copy(update={"kafka_instance_id": fresh()})
        return in_thread(lambda: host.run_workers([self.puppet], settings))

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


def test_the_end_of_a_partition_is_not_committed_before_what_lies_before_it(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests on a partition. The second is read while the first is done, and so is the end behind it."""
    at_end = threading.Event()

    class Watched(Consumer):
        def poll(self, timeout: float = -1) -> Message | None:
            found = super().poll(timeout)
            error = found.error() if found else None
            if found and error and error.code() == KafkaError._PARTITION_EOF and found.offset() == 2:
                at_end.set()
            return found

    monkeypatch.setattr("shared_utils.transports.kafka.client.Consumer", Watched)
    workshop.puppet.hold()
    first, second = workshop.ask(partition=0), workshop.ask(partition=0)
    workshop.puppet.hold(second)
    with workshop.worker_here():
        assert at_end.wait(PATIENCE)
        (workshop.puppet.folder / "hold").unlink()
        workshop.puppet.wait_begun(request_id=second)
        workshop.answer(first)
        assert unread(workshop.place.settings, workshop.place.group, workshop.place.requests) == 1
        workshop.puppet.go()
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


def test_what_was_read_ahead_goes_with_its_partition(workshop: Workshop) -> None:
    """Another takes over partitions of which the first has read requests that it has not come to."""
    first = workshop.worker("one")
    workshop.puppet.hold()
    names = [workshop.ask(partition=number % 4) for number in range(12)]
    workshop.puppet.wait_begun()
    workshop.worker("two")
    until(
        lambda: len(workshop.puppet.log("begun")) == 2 or "is to move" in first.log.read_text(),
        "the second has got some partitions, or is about to",
    )
    workshop.puppet.go()
    wait_all_read(workshop.place.settings, workshop.place.group, workshop.place.requests)
    answered = [each.value["request_id"] for each in everything(workshop.place.settings, workshop.place.responses)]
    assert sorted(answered) == sorted(names)
    assert len(set(workshop.puppet.log("begun"))) == 2
    assert len(workshop.puppet.log("begun")) == len(names)


def test_reading_ahead_has_a_limit_and_goes_on(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    paused, resumed = threading.Event(), threading.Event()

    class Watched(Consumer):
        def pause(self, partitions: list[TopicPartition]) -> None:
            super().pause(partitions)
            paused.set()

        def resume(self, partitions: list[TopicPartition]) -> None:
            super().resume(partitions)
            resumed.set()

    monkeypatch.setattr("shared_utils.transports.kafka.client.Consumer", Watched)
    monkeypatch.setattr("shared_utils.transports.kafka.worker.MOST_AHEAD", 3)
    monkeypatch.setattr("shared_utils.transports.kafka.worker.FEW_AHEAD", 1)
    with workshop.worker_here():
        workshop.puppet.hold()
        names = [workshop.ask(partition=0) for _ in range(10)]
        assert paused.wait(PATIENCE)
        assert not resumed.is_set()
        workshop.puppet.go()
        for name in names:
            workshop.answer(name)
        assert resumed.is_set()
    answered = [each.value["request_id"] for each in everything(workshop.place.settings, workshop.place.responses)]
    assert sorted(answered) == sorted(names)


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


def test_who_starts_over_leaves_no_client_behind(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does that wait for the garbage collector."""
    threads: list[int] = []
    run = Worker.run

    def lost_at_first(worker: Worker, stopping: threading.Event) -> None:
        threads.append(len(list(Path("/proc/self/task").iterdir())))
        if len(threads) < 4:
            raise MembershipLostError("as if")
        run(worker, stopping)

    monkeypatch.setattr("shared_utils.transports.kafka.worker.Worker.run", lost_at_first)
    gc.disable()
    try:
        with workshop.worker_here():
            assert workshop.answer(workshop.ask())["status"] == "success"
    finally:
        gc.enable()
    assert len(threads) == 4
    assert threads[-1] <= threads[0] + 1  # what the first has begun may not quite have, when it is looked at


def test_what_can_not_be_told_fails_no_job(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mute:
        def produce(self, *given: Any, **named: Any) -> None:
            raise KafkaException(KafkaError(KafkaError._FATAL))

    monkeypatch.setattr(host, "make_producer", lambda *given, **named: Mute())
    with workshop.worker_here():
        name = workshop.ask()
        assert workshop.answer(name)["status"] == "success"
        assert workshop.answers(name) == ["success"]


def test_a_commit_whose_outcome_is_unknown(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was committed, but the worker does not hear of it: it must look before it sends its result again."""
    lost: list[str] = []

    def answer_is_lost(*given: Any) -> None:
        in_transaction(*given)
        if not lost:
            lost.append("this one")
            raise FencedError("the outcome is unknown")

    monkeypatch.setattr("shared_utils.transports.kafka.worker.in_transaction", answer_is_lost)
    with workshop.worker_here():
        name = workshop.ask(partition=0)
        workshop.answer(name)
        workshop.answer(workshop.ask(partition=0))
        assert workshop.answers(name) == ["success"]
    assert lost
