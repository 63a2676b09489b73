"""Reading a topic from its beginning to where it ends now."""

import time
from collections.abc import Iterable, Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from shared_utils.transports.kafka.client import KafkaUnavailableError, explained, make_reader
from shared_utils.transports.kafka.settings import KafkaSettings

BATCH = 1000
PASSING = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART)
PATIENCE = 30.0
"""Seconds without anything new. The longest wait is for a dead process's transaction to be aborted."""


def read_to_the_end(
    settings: KafkaSettings, topic: str, starts: Mapping[int, int | None] | None = None, patience: float = PATIENCE
) -> Iterator[Record]:
    """All committed messages up to where the topic ends now, and where transactions are open, until they are over.

    `starts` says which partitions, and from which offset (None: the first); without it, all of them from their first.
    """
    try:
        bounds = _bounds(settings, topic, starts)
        missing = {each: end for each, (_, end) in bounds.items()}
        reader = make_reader(settings)
        try:
            # From the number of the first offset: to be told by the broker where that is takes half a second.
            begins = {each: begin for each, (begin, _) in bounds.items()} | _given(starts)
            reader.assign([TopicPartition(topic, each, offset) for each, offset in begins.items()])
            while missing:
                batch = next_batch(reader, BATCH, patience)
                if not batch:
                    raise KafkaUnavailableError(f"{topic} could not be read to its end: {patience:g} s without news.")
                yield from _messages(batch, missing)
        finally:
            reader.close()
    except KafkaException as failed:
        raise KafkaUnavailableError(explained(failed, settings)) from None


def _messages(batch: Iterable[Record], missing: dict[int, int]) -> Iterator[Record]:
    """Those of a batch that are messages. A partition that has been read to its end is no longer missing."""
    for record in batch:
        error = record.error()
        if error is None:
            yield record
        elif error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        elif (record.offset() or 0) >= missing.get(record.partition() or 0, 0):
            missing.pop(record.partition() or 0, None)


def next_batch(consumer: Consumer, most: int, timeout: float) -> list[Record]:
    """What has come, as soon as something has. Asked for many at once, librdkafka would wait until it has them all."""
    first = consumer.poll(timeout)
    return [] if first is None else [first, *consumer.consume(most - 1, timeout=0)]


def ends(settings: KafkaSettings, topic: str, partitions: Iterable[int] | None = None) -> dict[int, int]:
    """Where each partition ends, what is not committed yet included."""
    return {each: end for each, (_, end) in _bounds(settings, topic, partitions).items()}


def _given(starts: Mapping[int, int | None] | None) -> dict[int, int]:
    return {each: offset for each, offset in (starts or {}).items() if offset is not None}


def _bounds(settings: KafkaSettings, topic: str, partitions: Iterable[int] | None) -> dict[int, tuple[int, int]]:
    """Where each partition begins and ends."""
    # Asked by one who reads committed messages only, a broker tells where the first open transaction begins.
    reader = make_reader(settings, **{"isolation.level": "read_uncommitted"})
    try:
        numbers = partitions or reader.list_topics(topic, timeout=PATIENCE).topics[topic].partitions
        return {each: _watermarks(reader, TopicPartition(topic, each)) for each in numbers}
    finally:
        reader.close()


def _watermarks(reader: Consumer, partition: TopicPartition) -> tuple[int, int]:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return reader.get_watermark_offsets(partition, timeout=PATIENCE)
        except KafkaException as failed:
            # A topic that has just been made has no leader for a moment.
            if failed.args[0].code() not in PASSING or time.monotonic() > deadline:
                raise
            reader.poll(0.1)
