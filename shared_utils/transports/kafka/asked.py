"""A stage's request as it came: its fields, and what its headers say about the answer."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from confluent_kafka import Message as Record
from confluent_kafka import TopicPartition

from shared_utils.contracts import echoable
from shared_utils.telemetry.traces import trace_of
from shared_utils.transports.kafka.messages import (
    CORRELATION_ID,
    DEADLINE,
    REPLY_PARTITION,
    Codec,
    as_number,
    decoded,
    headers_of,
    place,
)


@dataclass(frozen=True)
class Asked:
    record: Record
    fields: dict[str, Any]
    headers: dict[str, str]

    @classmethod
    def by(cls, record: Record, codec: Codec) -> "Asked":
        """Raises InvalidMessageError. Ids may come as headers alone; a request without an id is given one."""
        fields, headers = decoded(codec, record), headers_of(record)
        ids = {
            "request_id": fields.get("request_id") or _named_after(place(record)),
            "correlation_id": fields.get("correlation_id") or headers.get(CORRELATION_ID),
        }
        return cls(record, fields | ids, headers)

    @property
    def request_id(self) -> str:
        """As it can be echoed. Whether it is one is for the request to say."""
        return str(echoable(self.fields["request_id"]))

    @property
    def correlation_id(self) -> str | None:
        return echoable(self.fields["correlation_id"])

    @property
    def ids(self) -> dict[str, str | None]:
        """For the lines of the log that are about it."""
        return {"request_id": self.request_id, CORRELATION_ID: self.correlation_id}

    @property
    def key(self) -> str:
        return self.correlation_id or self.request_id

    @property
    def echoed(self) -> dict[str, str | None]:
        """The headers that go on with everything that follows from this request."""
        return {CORRELATION_ID: self.correlation_id, **trace_of(self.headers)}

    def reply_partition(self, count: int) -> int:
        """Where the answer belongs among so many partitions; -1 leaves it to the key."""
        number = as_number(self.headers.get(REPLY_PARTITION))
        return int(number) if number is not None and 0 <= number < count else -1

    def expired(self, at: datetime) -> bool:
        deadline = as_number(self.headers.get(DEADLINE))
        return deadline is not None and at.timestamp() > deadline


def _named_after(where: TopicPartition) -> str:
    """An id for a request without one: the same each time it is read, so that it has the same files."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{where.topic}/{where.partition}/{where.offset}").hex
