"""What a message looks like on a topic: its value, its key and its headers."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from confluent_kafka import Message as Record
from confluent_kafka import TopicPartition
from pydantic import BaseModel
from pydantic_core import to_json

from shared_utils.errors import VtryonError

CORRELATION_ID = "correlation_id"
REPLY_PARTITION = "reply_partition"
"""On a stage's request: the partition of the response topic that the answer belongs on."""
DEADLINE = "deadline"
"""On a stage's request: seconds since 1970; after that nobody waits for the answer."""
DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
"""The code of an answer that says so."""
WORKER = "worker"
REQUEST_PARTITION = "request_partition"
"""On a stage's answer: who gave it, and where the request lay."""
STATE = "state"
"""On a status: the state that the record holds, so that a reader can pass over what has ended."""

MAX_VALUE_BYTES = 1_000_000
"""Longer messages are not read: a request holds paths and parameters, never pictures."""


class InvalidMessageError(VtryonError):
    """A message is too long, no JSON object, or not of the topic's schema."""

    code = "INVALID_MESSAGE"


class Codec(Protocol):
    """How values are written and read."""

    def encode(self, topic: str, message: BaseModel | Mapping[str, Any]) -> bytes: ...

    def decode(self, topic: str, value: bytes) -> dict[str, Any]: ...

    def close(self) -> None: ...


class JsonCodec:
    """Plain JSON objects."""

    def encode(self, topic: str, message: BaseModel | Mapping[str, Any]) -> bytes:
        return to_json(message)

    def decode(self, topic: str, value: bytes) -> dict[str, Any]:
        try:
            fields = json.loads(value)
        except (ValueError, RecursionError) as wrong:
            raise InvalidMessageError(f"A message on {topic} is no JSON: {wrong}.") from None
        if not isinstance(fields, dict):
            raise InvalidMessageError(f"A message on {topic} is a JSON {type(fields).__name__}, not an object.")
        return fields

    def close(self) -> None:
        """There is nothing to let go of."""


def decoded(codec: Codec, record: Record) -> dict[str, Any]:
    """The fields of a message from outside, or what is wrong with it."""
    topic, value = str(record.topic()), record.value()
    if not value:
        raise InvalidMessageError(f"A message on {topic} is empty.")
    if len(value) > MAX_VALUE_BYTES:
        raise InvalidMessageError(f"A message on {topic} has {len(value)} bytes, more than {MAX_VALUE_BYTES}.")
    return codec.decode(topic, bytes(value))


def place(record: Record) -> TopicPartition:
    """Where a message lies."""
    return TopicPartition(str(record.topic()), int(record.partition() or 0), int(record.offset() or 0))


def headers_of(record: Record) -> dict[str, str]:
    """A message's headers as text. What is no text is left out; the last of a name counts."""
    found = {}
    for name, value in dict(record.headers() or {}).items():
        if isinstance(value, bytes):
            found[name] = value.decode("utf-8", "replace")
    return found


def as_headers(headers: Mapping[str, Any]) -> list[tuple[str, str | bytes | None]]:
    """Headers as a producer takes them; those that are None are left out."""
    return [(name, str(value)) for name, value in headers.items() if value is not None]


def as_number(text: str | None) -> float | None:
    """A header's number, if it is one."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
