"""The records by which a try-on is asked for, and stopped."""

from collections.abc import Mapping
from typing import Any

from shared_utils.contracts import Cancel
from shared_utils.telemetry.traces import outgoing
from shared_utils.transports.kafka.messages import CORRELATION_ID, Codec
from shared_utils.transports.kafka.sending import Outgoing
from shared_utils.transports.kafka.topics import TRYON_CANCELS, TRYON_REQUESTS


def asked(codec: Codec, request: Mapping[str, Any]) -> Outgoing:
    """A request, on the partition that its try-on's id leads to. It belongs to the trace that one is in."""
    name = str(request[CORRELATION_ID])
    return Outgoing(TRYON_REQUESTS, name, codec.encode(TRYON_REQUESTS, request), {CORRELATION_ID: name, **outgoing()})


def cancelled(codec: Codec, name: str, partition: int) -> Outgoing:
    """A cancellation. The orchestrator that has the try-on reads them from the partition that the try-on lives on."""
    value = codec.encode(TRYON_CANCELS, Cancel(correlation_id=name))
    return Outgoing(TRYON_CANCELS, name, value, {CORRELATION_ID: name}, partition)
