"""Which requests for try-ons the orchestrators have taken up: those before the offsets that they have committed."""

from collections.abc import Collection, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from orchestrator.config import Config
from shared_utils.transports.kafka.client import KafkaUnavailableError, explained, make_reader
from shared_utils.transports.kafka.messages import CORRELATION_ID
from shared_utils.transports.kafka.topics import TIMEOUT, TRYON_REQUESTS


def name_of(fields: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
    """The id of the try-on that a request asks for; nothing if it says none."""
    return fields.get(CORRELATION_ID) or headers.get(CORRELATION_ID) or fields.get("request_id")


def make_asker(config: Config) -> Consumer:
    """One who can ask how far the orchestrators' group is, and belongs to it no more than any reader does.

    It is also told where topics really end: one who reads committed messages only is told where the first open
    transaction begins.
    """
    return make_reader(config, **{"group.id": config.kafka_consumer_group, "isolation.level": "read_uncommitted"})


def taken_up_to(
    asker: Consumer, config: Config, partitions: Collection[int], timeout: float = TIMEOUT
) -> dict[int, int | None]:
    """The first offset of each partition that nobody has taken up; None where nothing was committed yet.

    What was taken up has a state, an answer or a dead letter by then, but its transaction may still be ending: whoever
    reads those topics to where they end after this call has seen them.
    """
    try:
        found = asker.committed([TopicPartition(TRYON_REQUESTS, number) for number in partitions], timeout=timeout)
    except KafkaException as failed:
        raise KafkaUnavailableError(explained(failed, config)) from None
    return {each.partition: each.offset if each.offset >= 0 else None for each in found}
