"""Sending records, one or many."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, Producer

from shared_utils.transports.kafka.client import KafkaUnavailableError, explained, make_producer
from shared_utils.transports.kafka.messages import as_headers
from shared_utils.transports.kafka.settings import KafkaSettings

SEND_SECONDS = 30.0


@dataclass(frozen=True)
class Outgoing:
    """A record to be sent. A partition of -1 leaves it to the key."""

    topic: str
    key: str | None
    value: bytes | None
    headers: dict[str, Any] = field(default_factory=dict)
    partition: int = -1


def produce(
    producer: Producer, record: Outgoing, on_delivery: Callable[[KafkaError | None, Any], None] | None = None
) -> None:
    """Hand the record to the producer, and wait as long as its queue is full."""
    while True:
        try:
            producer.produce(
                record.topic,
                key=record.key,
                value=record.value,
                partition=record.partition,
                headers=as_headers(record.headers),
                on_delivery=on_delivery,
            )
        except BufferError:
            producer.poll(1.0)
        else:
            return


def send(settings: KafkaSettings, *records: Outgoing) -> None:
    """Send these, and come back when Kafka has them."""
    failed: list[KafkaError] = []
    producer = make_producer(settings, **{"message.timeout.ms": round(SEND_SECONDS * 1000)})
    for record in records:
        produce(producer, record, lambda error, _: failed.append(error) if error is not None else None)
    left = producer.flush(SEND_SECONDS + 5)
    if failed:
        raise KafkaUnavailableError(explained(failed[0], settings))
    if left:
        raise KafkaUnavailableError(f"Kafka at {settings.kafka_bootstrap_servers} did not take {left} messages.")
