"""Where a try-on is, by its id: in its state, refused, or still waiting for an orchestrator."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka import Message as Record
from pydantic import ValidationError

from orchestrator.config import Config
from orchestrator.models import TryOnFailure
from orchestrator.state import TryOn
from shared_utils.transports.kafka.client import KafkaUnavailableError, explained, make_consumer
from shared_utils.transports.kafka.messages import (
    CORRELATION_ID,
    STATE,
    Codec,
    InvalidMessageError,
    decoded,
    headers_of,
)
from shared_utils.transports.kafka.reading import read_to_the_end
from shared_utils.transports.kafka.topics import TIMEOUT, TRYON_REQUESTS, TRYON_RESPONSES, TRYON_STATUS, counted


@dataclass(frozen=True)
class Found:
    """What is known of a try-on, and the number of the partition it lives on."""

    state: str
    partition: int
    tryon: TryOn | None = None
    refusal: TryOnFailure | None = None

    @property
    def ended(self) -> bool:
        return self.refusal is not None or (self.tryon is not None and self.tryon.ended)


def find(config: Config, codec: Codec, correlation_id: str) -> Found | None:
    """None if Kafka knows nothing of it, or nothing any more."""
    counts = counted(config, TRYON_STATUS, TRYON_RESPONSES, TRYON_REQUESTS)
    return (
        _by_status(config, codec, correlation_id)
        or _waiting(config, codec, correlation_id, counts[TRYON_REQUESTS])
        or _refused(config, codec, correlation_id)
        # An orchestrator may have taken it in between.
        or _by_status(config, codec, correlation_id)
    )


def all_states(config: Config) -> dict[str, str]:
    """The state of every try-on that Kafka knows, by its id; quicker than finding them one by one."""
    states: dict[str, str] = {}
    for record in read_to_the_end(config, TRYON_STATUS):
        name = bytes(record.key() or b"").decode("utf-8", "replace")
        states[name] = headers_of(record).get(STATE, "")
    return states


def _by_status(config: Config, codec: Codec, correlation_id: str) -> Found | None:
    latest: Record | None = None
    for record in read_to_the_end(config, TRYON_STATUS):
        if bytes(record.key() or b"") == correlation_id.encode():
            latest = record
    if latest is None or latest.value() is None:
        return None
    try:
        tryon = TryOn.model_validate(decoded(codec, latest))
    except ValidationError as wrong:
        raise InvalidMessageError(
            f"The state of try-on {correlation_id} is of another version of vtryon: {wrong.errors()[0]['msg']}."
        ) from None
    return Found(tryon.state, latest.partition() or 0, tryon=tryon)


def _refused(config: Config, codec: Codec, correlation_id: str) -> Found | None:
    """A request that no try-on was made of has an answer, and no state."""
    for record, fields in _read(config, codec, TRYON_RESPONSES):
        if fields.get(CORRELATION_ID) == correlation_id and fields.get("status") == "error":
            try:
                return Found("refused", record.partition() or 0, refusal=TryOnFailure.model_validate(fields))
            except ValidationError:
                continue
    return None


def _waiting(config: Config, codec: Codec, correlation_id: str, partitions: int) -> Found | None:
    """Requests that the orchestrators have not committed yet."""
    for record, fields in _read(config, codec, TRYON_REQUESTS, _committed(config, partitions)):
        names = fields.get(CORRELATION_ID) or headers_of(record).get(CORRELATION_ID) or fields.get("request_id")
        if names == correlation_id:
            return Found("waiting", record.partition() or 0)
    return None


def _committed(config: Config, partitions: int) -> dict[int, int | None]:
    """How far the orchestrators have read; None where they have read nothing yet."""
    consumer = make_consumer(config, config.kafka_consumer_group)
    try:
        places = [TopicPartition(TRYON_REQUESTS, number) for number in range(partitions)]
        found = consumer.committed(places, timeout=TIMEOUT)
    except KafkaException as failed:
        raise KafkaUnavailableError(explained(failed, config)) from None
    finally:
        consumer.close()
    return {each.partition: each.offset if each.offset >= 0 else None for each in found}


def _read(
    config: Config, codec: Codec, topic: str, starts: Mapping[int, int | None] | None = None
) -> Iterator[tuple[Record, dict[str, Any]]]:
    """All that can be read: what can't is somebody else's trouble."""
    for record in read_to_the_end(config, topic, starts):
        try:
            yield record, decoded(codec, record)
        except InvalidMessageError:
            continue
