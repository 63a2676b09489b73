"""What the records of Kafka say of try-ons."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message as Record
from pydantic import ValidationError
from pydantic_core import to_json

from orchestrator.gateway.view.waiting import Waiting
from orchestrator.models import TryOnFailure
from orchestrator.state import TryOn
from orchestrator.taken import name_of
from shared_utils.contracts import Message, Progress, Seed, Timestamp, echoable
from shared_utils.errors import CancelledError, first_line
from shared_utils.transports.kafka.messages import Codec, InvalidMessageError, decoded, headers_of, place
from shared_utils.transports.kafka.topics import TRYON_PROGRESS, TRYON_REQUESTS, TRYON_RESPONSES, TRYON_STATUS

log = logging.getLogger("vtryon.gateway")

TOPICS = (TRYON_STATUS, TRYON_PROGRESS, TRYON_RESPONSES, TRYON_REQUESTS)
"""What a gateway reads."""


class _Request(Message):
    request_id: str
    timestamp: Timestamp
    prompt: str
    seed: Seed | None


class Begun(TryOn):
    """A state with only what is shown of its request: the rest was checked by the orchestrator."""

    request: _Request  # type: ignore[assignment]


News = Begun | Progress | TryOnFailure | Waiting


@dataclass(frozen=True, slots=True)
class Heard:
    """A record that says something of a try-on."""

    name: str
    partition: int
    offset: int
    at: int
    """Milliseconds since 1970."""
    news: News | None
    """None: it is to be forgotten."""
    said: bytes = b""
    """A state or a refusal as it came, as JSON."""


def heard(codec: Codec, record: Record) -> Heard | None:
    """None if it says nothing that is of use here, or can't be read. Raises what waiting can mend: no registry."""
    try:
        return _heard(codec, record)
    except (InvalidMessageError, ValidationError) as wrong:
        log.warning("%s can't be read, and is passed over: %s", place(record), first_line(wrong))
        return None


def _heard(codec: Codec, record: Record) -> Heard | None:
    where = place(record)
    if where.topic == TRYON_STATUS and record.value() is None:
        return _of(record, _key(record), None)
    fields = decoded(codec, record)
    if where.topic == TRYON_STATUS:
        # By its key, as Kafka itself tells what is the latest.
        return _of(record, _key(record), Begun.model_validate(fields), to_json(fields))
    if where.topic == TRYON_PROGRESS:
        news = Progress.model_validate(fields)
        return _of(record, news.correlation_id or "", news)
    name = echoable(name_of(fields, headers_of(record))) or ""
    if where.topic == TRYON_REQUESTS:
        return _of(record, name, Waiting.of(name, fields, where.partition, where.offset, record.timestamp()[1]))
    if _is_refusal(fields):
        return _of(record, name, TryOnFailure.model_validate(fields), to_json(fields))
    return None


def _of(record: Record, name: str, news: News | None, said: bytes = b"") -> Heard | None:
    where = place(record)
    return Heard(name, where.partition, where.offset, record.timestamp()[1], news, said) if name else None


def _key(record: Record) -> str:
    return bytes(record.key() or b"").decode("utf-8", "replace")


def _is_refusal(fields: Mapping[str, Any]) -> bool:
    """What an orchestrator answers to a request that it can't use; whatever else fails has a state that says so."""
    failed = fields.get("status") == "error" and fields.get("failed_step") is None
    return failed and fields.get("error_code") != CancelledError.code
