"""The topics and what lies on them, as an AsyncAPI document."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

VERSION = "3.0.0"
_SCHEMAS = "#/components/schemas/{model}"


@dataclass(frozen=True)
class Channel:
    """A topic."""

    topic: str
    purpose: str
    contracts: tuple[type[BaseModel], ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    """What each header says."""
    action: str = "send"
    """What others than vtryon do with it: send or receive."""


def asyncapi(version: str, channels: Iterable[Channel]) -> dict[str, Any]:
    channels = list(channels)
    contracts = dict.fromkeys(contract for channel in channels for contract in channel.contracts)
    _, schemas = models_json_schema([(contract, "validation") for contract in contracts], ref_template=_SCHEMAS)
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "vtryon",
            "version": version,
            "description": "What lies on vtryon's Kafka topics. Values are JSON by default, else Avro in Confluent's "
            "wire format with the schemas in avro/; the fields are the same.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {channel.topic: _channel(channel) for channel in channels},
        "operations": {f"{channel.action}-{channel.topic}": _operation(channel) for channel in channels},
        "components": {"schemas": schemas["$defs"]},
    }


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "address": channel.topic,
        "description": channel.purpose,
        "messages": {contract.__name__: _message(contract, channel) for contract in channel.contracts},
    }


def _message(contract: type[BaseModel], channel: Channel) -> dict[str, Any]:
    headers = {name: {"type": "string", "description": says} for name, says in channel.headers.items()}
    key = {"type": "string", "description": "The correlation_id."}
    return {
        "payload": {"$ref": _SCHEMAS.format(model=contract.__name__)},
        "headers": {"type": "object", "properties": headers},
        "bindings": {"kafka": {"key": key}},
    }


def _operation(channel: Channel) -> dict[str, Any]:
    return {"action": channel.action, "channel": {"$ref": f"#/channels/{channel.topic}"}}
