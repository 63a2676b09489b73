"""Partitions of several topics: where each begins and ends, and how far a batch has come."""

from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from shared_utils.transports.kafka.messages import place

ASK_SECONDS = 5.0
"""How long Kafka is waited for."""

Part = tuple[str, int]
"""A topic, and the number of a partition."""
Offsets = dict[Part, int]


def parts_of(partitions: Mapping[str, int]) -> list[Part]:
    return [(topic, number) for topic, count in partitions.items() for number in range(count)]


def bounds_of(asker: Consumer, parts: Iterable[Part]) -> dict[Part, tuple[int, int]]:
    """The first offset that is kept, and the one after the last."""
    return {part: asker.get_watermark_offsets(TopicPartition(*part), timeout=ASK_SECONDS) for part in parts}


def ends_of(asker: Consumer, parts: Iterable[Part]) -> Offsets:
    return {part: end for part, (_, end) in bounds_of(asker, parts).items()}


def known_ends(reader: Consumer, before: Mapping[Part, int]) -> Offsets:
    """As the reader was told when it last fetched something: nobody is asked. At least where they were before."""
    told = {part: reader.get_watermark_offsets(TopicPartition(*part), cached=True)[1] for part in before}
    return {part: max(end, told[part]) for part, end in before.items()}


def behind(read: Mapping[Part, int], ends: Mapping[Part, int]) -> int:
    """How many records there are to read, at most."""
    return sum(max(0, end - read[part]) for part, end in ends.items())


def reached(read: Mapping[Part, int], goal: Mapping[Part, int]) -> bool:
    return all(read[part] >= offset for part, offset in goal.items())


def sorted_out(batch: Iterable[Record]) -> tuple[list[Record], Offsets]:
    """The messages of a batch, and how far it goes: what marks the end of a transaction takes up offsets, too."""
    messages, read = [], Offsets()
    for record in batch:
        error, where = record.error(), place(record)
        if error is None:
            messages.append(record)
            read[where.topic, where.partition] = where.offset + 1
        elif error.code() == KafkaError._PARTITION_EOF:
            read[where.topic, where.partition] = where.offset
        else:
            raise KafkaException(error)
    return messages, read
