"""The gateway's one producer: it stays open, and nobody's event loop waits for it."""

import asyncio
import contextlib
import logging
import threading
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Record

from shared_utils.transports.kafka.client import KafkaUnavailableError, explained, make_producer
from shared_utils.transports.kafka.messages import as_headers, place
from shared_utils.transports.kafka.sending import SEND_SECONDS, Outgoing
from shared_utils.transports.kafka.settings import KafkaSettings

log = logging.getLogger("vtryon.gateway")

POLL_SECONDS = 0.2
FLUSH_SECONDS = 10.0


class Sender:
    """Sends records, and says where each lies as soon as Kafka has it."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer = self._made()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve_deliveries, name="gateway producer", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Have Kafka take what is still under way, for a while."""
        self._closing.set()
        self._thread.join()
        left = self._producer.flush(FLUSH_SECONDS)
        if left:
            log.warning("Kafka did not take the last %d messages", left)

    async def send(self, *records: Outgoing) -> list[TopicPartition]:
        """Where they lie. Raises KafkaUnavailableError if Kafka has not taken all of them."""
        return list(await asyncio.gather(*[self._handed_over(record) for record in records]))

    def _handed_over(self, record: Outgoing) -> asyncio.Future[TopicPartition]:
        loop = asyncio.get_running_loop()
        delivered: asyncio.Future[TopicPartition] = loop.create_future()

        def settle(error: KafkaError | None, sent: Record) -> None:
            if delivered.done():  # whoever waited has gone
                return
            if error is not None:
                delivered.set_exception(KafkaUnavailableError(explained(error, self._settings)))
            else:
                delivered.set_result(place(sent))

        def on_delivery(error: KafkaError | None, sent: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(settle, error, sent)

        try:
            self._producer.produce(
                record.topic,
                key=record.key,
                value=record.value,
                partition=record.partition,
                headers=as_headers(record.headers),
                on_delivery=on_delivery,
            )
        except KafkaException as failed:
            if failed.args[0].code() == KafkaError._FATAL:
                # It can't keep its promise any more, and takes nothing: another one begins anew.
                self._producer = self._made()
            delivered.set_exception(KafkaUnavailableError(explained(failed, self._settings)))
        except BufferError:
            delivered.set_exception(
                KafkaUnavailableError(
                    f"Kafka at {self._settings.kafka_bootstrap_servers} has taken nothing for a while, and too much "
                    "waits to be sent. Try again later."
                )
            )
        return delivered

    def _made(self) -> Producer:
        return make_producer(self._settings, **{"message.timeout.ms": round(SEND_SECONDS * 1000)})

    def _serve_deliveries(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(POLL_SECONDS)
