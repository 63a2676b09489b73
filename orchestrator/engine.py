"""The workflow on Kafka: read a batch, decide, and make known in one transaction what was decided and how far was read.

The order, which "exactly once" rests on: what has come is taken in and decided upon, in memory; then the transaction
begins; into it go the requests to stages, the answers, the states, and the offsets; then it is committed. After any
failure the memory is thrown away and read again from tryon-status, so it never holds what Kafka does not.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from orchestrator.artifacts import Cleaner
from orchestrator.balance import Balance
from orchestrator.config import Config
from orchestrator.counts import Counts
from orchestrator.memory import Shelf
from orchestrator.records import Records
from orchestrator.restore import restored
from orchestrator.round import Round
from orchestrator.spans import tell_end
from orchestrator.state import TryOn
from orchestrator.steps import STEPS
from shared_utils.errors import VtryonError
from shared_utils.telemetry.health import Part
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.client import close, make_consumer, make_transactional_producer
from shared_utils.transports.kafka.dead_letters import code_of
from shared_utils.transports.kafka.membership import Membership
from shared_utils.transports.kafka.messages import Codec, place
from shared_utils.transports.kafka.reading import PATIENCE, next_batch
from shared_utils.transports.kafka.sending import Outgoing
from shared_utils.transports.kafka.transactions import group_metadata, in_transaction

log = logging.getLogger("vtryon.orchestrator")

RESPONSES = {topics.response_topic(step): step for step in STEPS}
SOURCES = (topics.TRYON_REQUESTS, topics.TRYON_CANCELS, *RESPONSES)
BATCH = 500
IDLE_SECONDS = 0.5
DEADLINES_SECONDS = 1.0
"""How often deadlines are looked at."""


class SplitPartitionsError(VtryonError):
    """What belongs together was given to different orchestrators. Joining again gives Kafka another chance."""

    code = "PARTITIONS_SPLIT"
    retryable = True


class Engine:
    """One membership in the orchestrators' group, from joining to leaving."""

    def __init__(
        self, config: Config, codec: Codec, instance: str, cleaner: Cleaner, counts: Counts, part: Part
    ) -> None:
        self._config = config
        self._counts = counts
        counts.watch(self._running)
        self._codec = codec
        self._cleaner = cleaner
        self._records = Records(codec, config.keep_intermediates)
        self._shelves: dict[int, Shelf] = {}
        self._assigned: dict[int, set[str]] = {}
        self._waiting: deque[Record] = deque()
        self._held_back: set[int] = set()
        self._deadlines_seen = 0.0
        partitions = topics.counted(config, *(topics.request_topic(step) for step in STEPS))
        self._balance = Balance({step: partitions[topics.request_topic(step)] for step in STEPS})
        self._producer = make_transactional_producer(config, instance)
        self._consumer = make_consumer(config, config.kafka_consumer_group, **_together(config))
        self._membership = Membership(part, self._consumer)
        self._consumer.subscribe(
            list(SOURCES), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self._membership.look()
            self.one_round()

    def close(self) -> None:
        self._membership.lost()
        close(self._consumer, self._producer)

    def one_round(self) -> None:
        self._hold_back_or_go_on()
        batch = next_batch(self._consumer, BATCH, 0 if self._waiting and self._room() else IDLE_SECONDS)
        membership = group_metadata(self._consumer) if self._shelves else None
        this = Round(self._shelves, self._config, self._codec, self._records, self._balance)
        for record in batch:
            self._take(this, record)
        if time.monotonic() - self._deadlines_seen > DEADLINES_SECONDS:
            self._deadlines_seen = time.monotonic()
            this.look_at_deadlines()
        while self._waiting and self._room():
            this.take_request(self._waiting.popleft())
        outgoing, offsets = this.results()
        if outgoing or offsets:
            in_transaction(self._producer, outgoing, offsets, membership)
        self._count(this, outgoing)
        for tryon in this.ended:
            tell_end(tryon)
            self._cleaner.remove(tryon.work_dir)
        self._cleaner.sweep_if_due(time.monotonic())

    def _count(self, this: Round, sent: Sequence[Outgoing]) -> None:
        for before, now in this.changes:
            self._counts.changed(before, now)
        for letter in sent:
            if (code := code_of(letter)) is not None:
                self._counts.letters.put_aside(letter.topic, code)

    def _running(self) -> list[TryOn]:
        """For whoever looks from another thread: as of a moment ago."""
        return [tryon for shelf in list(self._shelves.values()) for tryon in list(shelf.running.values())]

    def _take(self, this: Round, record: Record) -> None:
        error = record.error()
        if error is not None:
            if error.fatal():
                raise KafkaException(error)
            log.warning("%s", error.str())
            return
        topic, partition = place(record).topic, place(record).partition
        if partition not in self._shelves:
            log.debug("%s/%d is not ours any more: a rebalance came while the batch was read", topic, partition)
        elif topic == topics.TRYON_REQUESTS:
            self._waiting.append(record)
        elif topic == topics.TRYON_CANCELS:
            this.take_cancel(record)
        else:
            this.take_answer(RESPONSES[topic], record)

    def _room(self) -> bool:
        return sum(len(shelf.running) for shelf in self._shelves.values()) < self._config.max_in_flight

    def _hold_back_or_go_on(self) -> None:
        """Leave further try-ons in Kafka while there are enough under way. The one place that pauses and resumes."""
        wanted = set(self._shelves) if self._waiting or not self._room() else set()
        if wanted - self._held_back:
            self._consumer.pause(_requests_of(wanted - self._held_back))
        if self._held_back - wanted:
            self._consumer.resume(_requests_of(self._held_back - wanted))
        self._held_back = wanted

    # ---- rebalances: called from inside poll, so never while a round is under way

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Before anything is decided for a partition, its state is read to the end."""
        for each in partitions:
            self._assigned.setdefault(each.partition, set()).add(each.topic)
        whole = [number for number, found in self._assigned.items() if len(found) == len(SOURCES)]
        new = [number for number in whole if number not in self._shelves]
        if len(whole) < len(self._assigned):
            # They are assigned together, always: decisions on half of them would contradict somebody else's.
            raise SplitPartitionsError("Kafka gave the topics of one partition number to different orchestrators.")
        if new:
            self._shelves |= restored(self._config, self._codec, new)
            cancels = [TopicPartition(topics.TRYON_CANCELS, number) for number in new]
            for each in consumer.committed(cancels, timeout=PATIENCE):
                lowest, _ = consumer.get_watermark_offsets(each, timeout=PATIENCE)
                self._shelves[each.partition].cancels_read = max(lowest, each.offset)
        self._membership.given()

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for number in {each.partition for each in partitions}:
            self._shelves.pop(number, None)
            self._assigned.pop(number, None)
            self._held_back.discard(number)
        self._waiting = deque(record for record in self._waiting if place(record).partition in self._shelves)


def _requests_of(numbers: set[int]) -> list[TopicPartition]:
    return [TopicPartition(topics.TRYON_REQUESTS, number) for number in numbers]


def _together(config: Config) -> dict[str, Any]:
    """Whoever has a partition number of one topic has it of all: the range assignor, in either protocol."""
    if config.kafka_group_protocol == "consumer":
        return {"group.remote.assignor": "range"}
    return {"partition.assignment.strategy": "range"}
