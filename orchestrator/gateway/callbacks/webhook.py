"""Callbacks: when a try-on has ended, its callback_url is told.

The order, which "at least once" rests on: an ended try-on is read from tryon-status; its callback is delivered, or
given up; only then an offset behind it is committed. What is under way when a gateway ends is delivered by another.
"""

import logging
import threading
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record
from pydantic import SecretStr, ValidationError

from orchestrator.gateway.callbacks.deliveries import Callback, Deliveries
from orchestrator.gateway.models import TryOnView
from orchestrator.gateway.settings import GatewayConfig
from orchestrator.state import TryOn
from shared_utils.errors import VtryonError, first_line
from shared_utils.transports.kafka.client import close, make_consumer
from shared_utils.transports.kafka.messages import STATE, Codec, InvalidMessageError, decoded, headers_of, place
from shared_utils.transports.kafka.reading import next_batch
from shared_utils.transports.kafka.staying import again_and_again
from shared_utils.transports.kafka.topics import TRYON_STATUS

log = logging.getLogger("vtryon.webhooks")

GROUP = "gateway-webhooks"
BATCH = 500
IDLE_SECONDS = 0.2
COMMIT_EVERY_SECONDS = 1.0
MOST_UNDER_WAY = 10_000
"""Callbacks, those that wait for their next attempt included; the others wait in Kafka."""


class Webhooks:
    """Delivers callbacks until closed; several gateways share them. Without WEBHOOK_SECRET it does nothing."""

    def __init__(self, config: GatewayConfig, codec: Codec) -> None:
        self._config = config
        self._codec = codec
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        secret = self._config.webhook_secret
        if secret is not None:
            self._thread = threading.Thread(target=self._run, args=(secret,), name="webhooks", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, secret: SecretStr) -> None:
        try:
            again_and_again(lambda: self._membership(secret), GROUP, self._stopping)
        except VtryonError as failed:
            log.error("callbacks are not delivered: %s", failed.message)  # noqa: TRY400  the message says it all

    def _membership(self, secret: SecretStr) -> None:
        member = Member(self._config, secret, self._codec)
        try:
            while not self._stopping.is_set():
                member.one_round()
        finally:
            member.close()


@dataclass
class Read:
    """What was read of a partition."""

    next: int = -1
    """The offset behind the last one; -1 before there is any."""
    committed: int = -1
    under_way: dict[int, Future[None]] = field(default_factory=dict)
    """By the offsets of their try-ons."""

    def settled(self) -> int:
        """The offset before which nothing is under way."""
        for offset in [offset for offset, delivery in self.under_way.items() if delivery.done()]:
            defect = self.under_way.pop(offset).exception()
            if defect is not None:
                log.error("a callback was given up: a defect", exc_info=defect)
        return min(self.under_way, default=self.next)


class Member:
    """One membership in the group, from joining to leaving."""

    def __init__(self, config: GatewayConfig, secret: SecretStr, codec: Codec) -> None:
        self._codec = codec
        self._reads: dict[int, Read] = {}
        self._held_back: set[int] = set()
        self._committed_at = time.monotonic()
        self._consumer = make_consumer(config, GROUP, on_commit=self._on_commit)
        self._deliveries = Deliveries(config, secret)
        self._consumer.subscribe(
            [TRYON_STATUS], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def one_round(self) -> None:
        self._hold_back_or_go_on()
        for record in next_batch(self._consumer, BATCH, IDLE_SECONDS):
            self._take(record)
        if time.monotonic() - self._committed_at > COMMIT_EVERY_SECONDS:
            self._committed_at = time.monotonic()
            self._commit(self._reads)

    def close(self) -> None:
        self._let_go(list(self._reads))
        self._deliveries.close()
        close(self._consumer)

    def _take(self, record: Record) -> None:
        error = record.error()
        if error is not None:
            if error.fatal():
                raise KafkaException(error)
            log.warning("%s", error.str())
            return
        where = place(record)
        read = self._reads.get(where.partition)
        if read is None:  # a rebalance came while the batch was read
            return
        read.next = where.offset + 1
        callback = self._callback(record)
        if callback is not None:
            read.under_way[where.offset] = self._deliveries.deliver(callback)

    def _callback(self, record: Record) -> Callback | None:
        if not record.value() or headers_of(record).get(STATE) == "running":
            return None
        try:
            tryon = TryOn.model_validate(decoded(self._codec, record))
        except (InvalidMessageError, ValidationError) as wrong:
            log.warning("%s can't be read, and is passed over: %s", place(record), first_line(wrong))
            return None
        if not tryon.ended or tryon.request.callback_url is None:
            return None
        # The same for whoever reads this record, so that a receiver knows what it has had already.
        name = uuid.uuid5(uuid.NAMESPACE_URL, f"{tryon.correlation_id} {tryon.updated.isoformat()}").hex
        body = TryOnView.of(tryon).model_dump_json().encode()
        return Callback(name, tryon.correlation_id, tryon.request.callback_url, body)

    def _hold_back_or_go_on(self) -> None:
        """Leave further records in Kafka while there are callbacks enough. The one place that pauses and resumes."""
        full = sum(len(read.under_way) for read in self._reads.values()) >= MOST_UNDER_WAY
        wanted = set(self._reads) if full else set()
        if wanted - self._held_back:
            self._consumer.pause([TopicPartition(TRYON_STATUS, number) for number in wanted - self._held_back])
        if self._held_back - wanted:
            self._consumer.resume([TopicPartition(TRYON_STATUS, number) for number in self._held_back - wanted])
        self._held_back = wanted

    def _commit(self, numbers: Iterable[int]) -> None:
        """How far each of these partitions is done with, where that is further than before."""
        offsets = []
        for number in numbers:
            read, settled = self._reads[number], self._reads[number].settled()
            if settled > read.committed:
                read.committed = settled
                offsets.append(TopicPartition(TRYON_STATUS, number, settled))
        if offsets:
            # Not waited for: when a partition is given up, this goes to the broker before the word of that does.
            self._consumer.commit(offsets=offsets, asynchronous=True)

    def _on_commit(self, failed: KafkaError | None, partitions: list[TopicPartition]) -> None:
        for each in partitions:
            if (failed or each.error) and each.partition in self._reads:
                self._reads[each.partition].committed = -1  # so that it is tried again

    def _let_go(self, numbers: Iterable[int]) -> None:
        """Whoever has these partitions next begins where nothing is under way, and delivers that anew."""
        try:
            self._commit(numbers)
        except KafkaException as failed:
            log.warning("some callbacks will be delivered twice: %s", first_line(failed))
        self._forget(numbers)

    def _forget(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            for delivery in self._reads.pop(number).under_way.values():
                delivery.cancel()
            self._held_back.discard(number)

    # ---- rebalances: called from inside poll

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._reads |= {each.partition: Read() for each in partitions}

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._let_go([each.partition for each in partitions if each.partition in self._reads])

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget([each.partition for each in partitions if each.partition in self._reads])
