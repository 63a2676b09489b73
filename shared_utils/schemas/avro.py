"""A contract as an Avro schema, and its messages as Avro records.

What has a default in the contract is nullable, and null is the same as absent: the default stays with whoever reads,
where the environment may have changed it, and a field can be added without anybody noticing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_json

NAMESPACE = "vtryon"
LARGEST_LONG = 2**63 - 1
NULL_IS_VALUE = "nullIsValue"
"""Property of a field that a contract requires and that may be null: its null is kept."""

TIMESTAMP = {"type": "long", "logicalType": "timestamp-millis"}
# Whole numbers up to 2^64 - 1, which no long can hold.
SEED = {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 0}
# Objects of any shape, as text, marked as in JSON Schema: of a logical type that they don't know, libraries warn.
MEDIA_TYPE, JSON_TEXT = "contentMediaType", "application/json"
JSON = {"type": "string", MEDIA_TYPE: JSON_TEXT}
_PRIMITIVES = {"string": "string", "number": "double", "boolean": "boolean"}


# ---- schemas


def avro_schema(*models: type[BaseModel], name: str | None = None) -> dict[str, Any]:
    """The schema of a contract, or the one record that holds any of several.

    The flat record of several contracts, not a union of records: tables and connectors want columns, as JSON has them,
    and a union can't get another branch without older readers failing on it.
    """
    return _Records().record(name or models[0].__name__, [model.model_json_schema() for model in models])


@dataclass(frozen=True)
class _Field:
    """A field as JSON Schema has it, less its null."""

    value: dict[str, Any]
    nullable: bool
    null_is_value: bool
    doc: str | None


class _Records:
    """A record is spelled out where it is first used, and then named."""

    def __init__(self) -> None:
        self._written: set[str] = set()

    def record(self, name: str, schemas: Sequence[dict[str, Any]]) -> dict[str, Any]:
        self._written.add(name)
        definitions = {key: value for schema in schemas for key, value in schema.get("$defs", {}).items()}
        fields = [self._field(key, field, definitions, name) for key, field in _merged(name, schemas).items()]
        return {"type": "record", "name": name, "namespace": NAMESPACE, "fields": fields}

    def _field(self, name: str, field: _Field, definitions: dict[str, Any], record: str) -> dict[str, Any]:
        kind = self._type(field.value, definitions, f"{record}.{name}")
        described: dict[str, Any] = {"name": name, "type": ["null", kind] if field.nullable else kind}
        if field.nullable:
            described["default"] = None
        if field.null_is_value:
            described[NULL_IS_VALUE] = True
        if field.doc:
            described["doc"] = field.doc
        return described

    def _type(self, value: dict[str, Any], definitions: dict[str, Any], where: str) -> Any:
        match value:
            case {"$ref": str(reference)}:
                return self._nested(reference.rpartition("/")[2], definitions)
            case {"type": "array", "items": dict(items)}:
                return {"type": "array", "items": self._type(items, definitions, where)}
            case {"type": "object", "additionalProperties": dict(values)}:
                return {"type": "map", "values": self._type(values, definitions, where)}
        return _plain_type(value, where)

    def _nested(self, name: str, definitions: dict[str, Any]) -> Any:
        if name in self._written:
            return f"{NAMESPACE}.{name}"
        return self.record(name, [definitions[name] | {"$defs": definitions}])


def _plain_type(value: dict[str, Any], where: str) -> Any:
    match value:
        case {"type": "string", "format": "date-time"}:
            return TIMESTAMP
        case {"type": "integer"}:
            return SEED if value.get("exclusiveMaximum", 0) > LARGEST_LONG else "long"
        case {"type": "object", "additionalProperties": True}:
            return JSON
        # A choice of words is a string: an Avro enum could never get another word.
        case {"type": str(kind)} if kind in _PRIMITIVES:
            return _PRIMITIVES[kind]
    raise TypeError(f"{where}: teach shared_utils/schemas/avro.py to write {value} in Avro.")


def _merged(name: str, schemas: Sequence[dict[str, Any]]) -> dict[str, _Field]:
    """The fields of all of them; what one of them lacks may be null."""
    found: dict[str, list[_Field]] = {}
    for schema in schemas:
        for key, value in schema["properties"].items():
            found.setdefault(key, []).append(_field(f"{name}.{key}", value, key in schema.get("required", ())))
    return {key: _any_of(f"{name}.{key}", fields, len(schemas)) for key, fields in found.items()}


def _field(where: str, schema: dict[str, Any], required: bool) -> _Field:
    branches = schema.get("anyOf", [schema])
    values = [branch for branch in branches if branch.get("type") != "null"]
    if len(values) != 1:
        raise TypeError(f"{where} has {len(values)} types besides null; one can be written in Avro.")
    may_be_null = len(branches) > 1
    # A constant, such as the status of an answer, is always written.
    nullable = may_be_null or not (required or "const" in schema)
    return _Field(values[0], nullable, required and may_be_null, schema.get("description"))


def _any_of(where: str, fields: Sequence[_Field], of: int) -> _Field:
    first = fields[0]
    if any(_shape(field.value) != _shape(first.value) for field in fields):
        raise TypeError(f"{where} has several types; one can be written in Avro.")
    return _Field(
        first.value,
        len(fields) < of or any(field.nullable for field in fields),
        any(field.null_is_value for field in fields),
        first.doc,
    )


def _shape(value: dict[str, Any]) -> dict[str, Any]:
    names = ("type", "format", "$ref", "items", "additionalProperties", "exclusiveMaximum")
    return {name: value[name] for name in names if name in value}


# ---- messages


def to_avro(message: BaseModel | Mapping[str, Any], schema: Any) -> dict[str, Any]:
    """A message as the record that fastavro writes with this schema. What the schema lacks is left out."""
    record: dict[str, Any] = _to_avro(message, schema, named_records(schema))
    return record


def from_avro(record: Any, schema: Any) -> Any:
    """The fields of a message, from the record that fastavro read and the schema that it was written with.

    The schema may be anybody's: what it has of ours is understood, the rest is passed on for the contract to judge.
    """
    return _from_avro(record, schema, named_records(schema))


def _to_avro(value: Any, schema: Any, named: Mapping[str, Any]) -> Any:
    schema = _only(schema, named)
    match schema:
        case _ if value is None:
            return None
        case {"type": "record", "fields": fields}:
            given = value.model_dump() if isinstance(value, BaseModel) else value
            kinds = {field["name"]: field["type"] for field in fields}
            return {name: _to_avro(given[name], kind, named) for name, kind in kinds.items() if name in given}
        case {"type": "array", "items": items}:
            return [_to_avro(item, items, named) for item in value]
        case {"type": "map", "values": values}:
            return {name: _to_avro(item, values, named) for name, item in value.items()}
    return _WRITTEN.get(schema.get("logicalType") or schema.get(MEDIA_TYPE, ""), _as_it_is)(value)


def _as_it_is(value: Any) -> Any:
    return value


_WRITTEN: dict[str, Callable[[Any], Any]] = {
    JSON_TEXT: lambda value: to_json(value).decode(),
    "decimal": Decimal,
    "timestamp-millis": TypeAdapter(datetime).validate_python,
}


def _from_avro(value: Any, schema: Any, named: Mapping[str, Any]) -> Any:
    schema = _only(schema, named)
    match value:
        case Mapping():
            fields = {field["name"]: field for field in schema.get("fields", ())}
            values = {"type": schema.get("values")}
            return {
                name: _from_avro(item, fields.get(name, values)["type"], named)
                for name, item in value.items()
                if item is not None or fields.get(name, {}).get(NULL_IS_VALUE)
            }
        case list():
            return [_from_avro(item, schema.get("items"), named) for item in value]
        case Decimal() if value % 1 == 0:
            return int(value)
        case str() if schema.get(MEDIA_TYPE) == JSON_TEXT:
            return json.loads(value)
    return value


def _only(schema: Any, named: Mapping[str, Any]) -> dict[str, Any]:
    """The one schema besides null, spelled out; nothing if there are several, or none that we know."""
    if isinstance(schema, list):
        branches = [branch for branch in schema if branch != "null"]
        return _only(branches[0], named) if len(branches) == 1 else {}
    if isinstance(schema, str):
        found: dict[str, Any] = named.get(schema.rpartition(".")[2], {})
        return found
    if not isinstance(schema, dict):
        return {}
    return schema if isinstance(schema.get("type"), str) else _only(schema.get("type"), named)


def named_records(schema: Any) -> dict[str, Any]:
    """The records that are spelled out anywhere in a schema, by their names without the namespace."""
    if isinstance(schema, list):
        return {name: found for branch in schema for name, found in named_records(branch).items()}
    if not isinstance(schema, dict):
        return {}
    own = {schema["name"].rpartition(".")[2]: schema} if schema.get("type") == "record" else {}
    inner = [field["type"] for field in schema.get("fields", ())]
    return own | named_records([*inner, schema.get("items"), schema.get("values"), schema.get("type")])
