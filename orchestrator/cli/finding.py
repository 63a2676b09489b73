"""Where a try-on is, by its id: in its state, refused, or still waiting for an orchestrator; and which there are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Message as Record
from pydantic import ValidationError

from orchestrator.config import Config
from orchestrator.models import TryOnFailure
from orchestrator.state import TryOn
from orchestrator.taken import make_asker, name_of, taken_up_to
from shared_utils.transports.kafka.messages import (
    STATE,
    Codec,
    InvalidMessageError,
    decoded,
    headers_of,
)
from shared_utils.transports.kafka.reading import read_to_the_end
from shared_utils.transports.kafka.topics import TRYON_REQUESTS, TRYON_RESPONSES, TRYON_STATUS, counted


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


@dataclass(frozen=True)
class Listed:
    """A try-on in a list: its state, and since when."""

    name: str
    state: str
    since: datetime


def listed(config: Config, codec: Codec) -> list[Listed]:
    """All that Kafka knows, those that changed last first; by their headers, as far as these say enough."""
    counts = counted(config, TRYON_STATUS, TRYON_RESPONSES, TRYON_REQUESTS)
    found: dict[str, Listed] = {}
    for record in read_to_the_end(config, TRYON_STATUS):
        name = bytes(record.key() or b"").decode("utf-8", "replace")
        found[name] = Listed(name, headers_of(record).get(STATE, ""), _written(record))
    for record, name in _requests_left(config, codec, counts[TRYON_REQUESTS]):
        found.setdefault(name, Listed(name, "waiting", _written(record)))
    for record, refusal in _failures(config, codec):
        name = refusal.correlation_id or refusal.request_id
        found.setdefault(name, Listed(name, "refused", _written(record)))
    return sorted(found.values(), key=lambda each: each.since, reverse=True)


def _written(record: Record) -> datetime:
    return datetime.fromtimestamp(record.timestamp()[1] / 1000, UTC)


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
    for record, failure in _failures(config, codec):
        if failure.correlation_id == correlation_id:
            return Found("refused", record.partition() or 0, refusal=failure)
    return None


def _waiting(config: Config, codec: Codec, correlation_id: str, partitions: int) -> Found | None:
    for record, name in _requests_left(config, codec, partitions):
        if name == correlation_id:
            return Found("waiting", record.partition() or 0)
    return None


def _failures(config: Config, codec: Codec) -> Iterator[tuple[Record, TryOnFailure]]:
    for record, fields in _read(config, codec, TRYON_RESPONSES):
        if fields.get("status") == "error":
            try:
                yield record, TryOnFailure.model_validate(fields)
            except ValidationError:
                continue


def _requests_left(config: Config, codec: Codec, partitions: int) -> Iterator[tuple[Record, str]]:
    """Requests that the orchestrators have not committed yet, and the ids of their try-ons."""
    for record, fields in _read(config, codec, TRYON_REQUESTS, _committed(config, partitions)):
        yield record, str(name_of(fields, headers_of(record)))


def _committed(config: Config, partitions: int) -> dict[int, int | None]:
    asker = make_asker(config)
    try:
        return taken_up_to(asker, config, range(partitions))
    finally:
        asker.close()


def _read(
    config: Config, codec: Codec, topic: str, starts: Mapping[int, int | None] | None = None
) -> Iterator[tuple[Record, dict[str, Any]]]:
    """All that can be read: what can't is somebody else's trouble."""
    for record in read_to_the_end(config, topic, starts):
        try:
            yield record, decoded(codec, record)
        except InvalidMessageError:
            continue
