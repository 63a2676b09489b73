"""The fields of a contract as a message of Protocol Buffers, and back."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel

from shared_utils.errors import InvalidRequestError
from shared_utils.transports.grpc.generated.vtryon_pb2 import Integers

MessageT = TypeVar("MessageT", bound=Message)
ModelT = TypeVar("ModelT", bound=BaseModel)


def parsed(kind: Descriptor, content: bytes) -> dict[str, Any]:
    """The fields of the message that these bytes are."""
    try:
        return fields_of(GetMessageClass(kind).FromString(content))
    except DecodeError:
        raise InvalidRequestError(f"These {len(content)} bytes are no message of the kind {kind.full_name}.") from None


def written(kind: Descriptor, fields: Mapping[str, Any]) -> bytes:
    """The message with these fields."""
    return filled(GetMessageClass(kind)(), fields).SerializeToString()


def model_of(kind: type[ModelT], fields: Mapping[str, Any]) -> ModelT:
    """The contract with these fields. What it requires though it may be null travels as absent."""
    absent = {name: None for name, field in kind.model_fields.items() if field.is_required() and name not in fields}
    return kind.model_validate({**absent, **fields})


def fields_of(message: Message) -> dict[str, Any]:
    """What the message has: a field that is absent is left out, but a list is never absent."""
    return {
        field.name: _values(getattr(message, field.name)) if field.is_repeated else _value(getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
        if field.is_repeated or message.HasField(field.name)
    }


def filled(message: MessageT, fields: Mapping[str, Any]) -> MessageT:
    """The message with these fields in it; None is the same as absent."""
    for field in message.DESCRIPTOR.fields:
        value = fields.get(field.name)
        if value is None:
            continue
        if field.is_repeated:
            _extend(getattr(message, field.name), value, field.message_type is None)
        elif field.message_type is None:
            setattr(message, field.name, value)
        else:
            inner = getattr(message, field.name)
            inner.SetInParent()
            _put(inner, value)
    return message


def _extend(items: Any, values: Iterable[Any], plain: bool) -> None:
    if plain:
        items.extend(values)
    else:
        for value in values:
            _put(items.add(), value)


def _put(message: Message, value: Any) -> None:
    match message:
        case Timestamp():
            message.FromDatetime(value)
        case Integers():
            message.values.extend(value)
        case _:
            filled(message, value)


def _values(items: Iterable[Any]) -> list[Any]:
    return [_value(item) for item in items]


def _value(value: Any) -> Any:
    match value:
        case Timestamp():
            return _moment(value)
        case Integers():
            return list(value.values)
        case Message():
            return fields_of(value)
    return value


def _moment(value: Timestamp) -> datetime | str:
    """As text if it is none, for the contract to refuse."""
    try:
        return value.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return f"{value.seconds} seconds and {value.nanos} nanoseconds since 1970"
