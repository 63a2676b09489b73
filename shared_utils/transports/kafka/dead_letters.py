"""Requests that could not be done: put aside with their history, to be looked at and sent again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message as Record
from confluent_kafka import TopicPartition
from pydantic_core import to_json

from shared_utils.contracts import now
from shared_utils.transports.kafka.client import make_reader
from shared_utils.transports.kafka.messages import DEADLINE, headers_of
from shared_utils.transports.kafka.reading import read_to_the_end
from shared_utils.transports.kafka.sending import Outgoing, send
from shared_utils.transports.kafka.settings import KafkaSettings
from shared_utils.transports.kafka.topics import dead_letter_topic

ERROR_CODE, ERROR_MESSAGE = "error_code", "error_message"
FAILED_AT, HISTORY = "failed_at", "history"
ORIGINAL_TOPIC, ORIGINAL_PARTITION, ORIGINAL_OFFSET = "original_topic", "original_partition", "original_offset"
REPLAYED_FROM = "replayed_from"
OURS = {DEADLINE, ERROR_CODE, ERROR_MESSAGE, FAILED_AT, HISTORY, ORIGINAL_TOPIC, ORIGINAL_PARTITION, ORIGINAL_OFFSET}
LONGEST_HEADER = 4096


def dead_letter(record: Record, code: str, message: str, history: Sequence[Any] = ()) -> Outgoing:
    """The record as it came, byte for byte, with what went wrong in its headers."""
    topic, key = str(record.topic()), record.key()
    return Outgoing(
        topic=dead_letter_topic(topic),
        key=None if key is None else bytes(key).decode("utf-8", "replace"),
        value=record.value(),
        headers=headers_of(record) | described(topic, record.partition(), record.offset(), code, message, history),
    )


def described(
    topic: str, partition: int | None, offset: int | None, code: str, message: str, history: Sequence[Any] = ()
) -> dict[str, Any]:
    """The headers that tell a dead letter's story."""
    return {
        ERROR_CODE: code,
        ERROR_MESSAGE: message[:LONGEST_HEADER],
        FAILED_AT: now().isoformat(timespec="milliseconds"),
        HISTORY: to_json(history).decode()[:LONGEST_HEADER] if history else None,
        ORIGINAL_TOPIC: topic,
        ORIGINAL_PARTITION: partition,
        ORIGINAL_OFFSET: offset,
    }


def code_of(sent: Outgoing) -> str | None:
    """What went wrong, if this is a dead letter."""
    code = sent.headers.get(ERROR_CODE)
    return None if code is None else str(code)


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter as it lies on its topic. `name` is what the command line calls it."""

    record: Record
    headers: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{self.record.topic()}/{self.record.partition()}/{self.record.offset()}"


def dead_letters(settings: KafkaSettings, requests: str) -> Iterator[DeadLetter]:
    """All dead letters of a request topic, oldest first in each partition."""
    for record in read_to_the_end(settings, dead_letter_topic(requests)):
        yield DeadLetter(record, headers_of(record))


def one_dead_letter(settings: KafkaSettings, topic: str, partition: int, offset: int) -> DeadLetter | None:
    """The dead letter of that name, if it is still there."""
    reader = make_reader(settings, **{"auto.offset.reset": "error"})
    try:
        reader.assign([TopicPartition(topic, partition, offset)])
        record = reader.poll(10.0)
    finally:
        reader.close()
    if record is None or record.error() or record.offset() != offset:
        return None
    return DeadLetter(record, headers_of(record))


def replay(settings: KafkaSettings, letter: DeadLetter, key: str | None, value: bytes | None) -> None:
    """Put the request back on the topic it came from. The letter stays: it leaves when it has grown old."""
    kept = {name: text for name, text in letter.headers.items() if name not in OURS}
    send(settings, Outgoing(letter.headers[ORIGINAL_TOPIC], key, value, kept | {REPLAYED_FROM: letter.name}))
