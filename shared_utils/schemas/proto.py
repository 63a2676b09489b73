"""Contracts as messages of Protocol Buffers, and what is done with them as services: the text of a .proto file.

Every field but a list has presence, so that what is absent is told from zero. A field keeps its number for good: the
numbers come from earlier files, and one whose field is gone stays reserved for it.
"""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

PACKAGE = "vtryon.v1"
INTEGERS = "Integers"
LARGEST_INT64 = 2**63 - 1
TIMESTAMP = "google.protobuf.Timestamp"
_PRIMITIVES = {"string": "string", "number": "double", "boolean": "bool", "integer": "int64"}
_INTEGERS = f"""\
// A list of whole numbers, where a plain one can't stand: in a list, or where there may be none.
message {INTEGERS} {{
  repeated int64 values = 1;
}}
"""

Numbers = Mapping[str, Mapping[str, int]]
"""The number of every field that a message has or had, by the message's name and the field's."""


@dataclass(frozen=True)
class Method:
    """What a service does."""

    name: str
    purpose: str
    request: type[BaseModel]
    response: type[BaseModel]
    is_stream: bool = False


@dataclass(frozen=True)
class Service:
    name: str
    purpose: str
    methods: Sequence[Method]


def proto_file(about: str, services: Sequence[Service], given: Numbers) -> str:
    """The whole file, in which every field has the number that it was given before, or the next free one."""
    methods = [method for service in services for method in service.methods]
    models = dict.fromkeys(chain.from_iterable((method.request, method.response) for method in methods))
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template="{model}")
    requests = {method.request.__name__ for method in methods}
    messages = [
        _message(name, schema, given.get(name, {}), name in requests) for name, schema in schemas["$defs"].items()
    ]
    return "\n".join([_head(about), *map(_service, services), *messages, _INTEGERS])


def numbers(*files: FileDescriptorProto) -> dict[str, dict[str, int]]:
    """What earlier files say; where they differ, the first."""
    found: dict[str, dict[str, int]] = {}
    for file in files:
        for message in file.message_type:
            known = found.setdefault(message.name, {})
            known.update({name: number for name, number in _given(message) if name not in known})
    return found


def _given(message: DescriptorProto) -> Iterator[tuple[str, int]]:
    yield from ((field.name, field.number) for field in message.field)
    # Reserved names and numbers are two lists: `_reserved` writes both in one order.
    yield from zip(message.reserved_name, (each.start for each in message.reserved_range), strict=True)


def _head(about: str) -> str:
    imported = 'import "google/protobuf/timestamp.proto";'
    return "\n".join(["".join(_comment(about)), 'syntax = "proto3";\n', f"package {PACKAGE};\n", f"{imported}\n"])


def _service(service: Service) -> str:
    return "".join([*_comment(service.purpose), f"service {service.name} {{\n", *map(_method, service.methods), "}\n"])


def _method(method: Method) -> str:
    response = f"stream {method.response.__name__}" if method.is_stream else method.response.__name__
    return "".join(
        [
            *_comment(method.purpose, "  "),
            f"  rpc {method.name}({method.request.__name__}) returns ({response});\n",
        ]
    )


def _message(name: str, schema: Mapping[str, Any], given: Mapping[str, int], is_request: bool) -> str:
    fields = schema["properties"]
    required = schema.get("required", ()) if is_request else ()
    numbered = dict(_numbered(fields, given))
    lines = [
        line
        for field, value in fields.items()
        for line in _field(f"{name}.{field}", numbered[field], value, field in required)
    ]
    gone = {field: number for field, number in given.items() if field not in fields}
    head = [*_comment(schema.get("description", "")), f"message {name} {{\n"]
    return "".join([*head, *_reserved(gone), *lines, "}\n"])


def _numbered(fields: Iterable[str], given: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    following = max(given.values(), default=0) + 1
    for field in fields:
        if field in given:
            yield field, given[field]
        else:
            yield field, following
            following += 1


def _reserved(gone: Mapping[str, int]) -> Iterator[str]:
    if gone:
        ordered = sorted(gone, key=lambda field: gone[field])
        yield f"  reserved {', '.join(str(gone[field]) for field in ordered)};\n"
        yield f"  reserved {', '.join(json.dumps(field) for field in ordered)};\n"


def _field(where: str, number: int, schema: Mapping[str, Any], required: bool) -> Iterator[str]:
    branches = schema.get("anyOf", [schema])
    values = [branch for branch in branches if branch.get("type") != "null"]
    if len(values) != 1:
        raise TypeError(f"{where} has {len(values)} types besides null; one can be written as a field.")
    described = schema.get("description", "")
    words = [described, _choice(values[0], described), "Required." if required else ""]
    yield from _comment(" ".join(word for word in words if word), "  ")
    kind = _kind(values[0], len(branches) > 1, where)
    yield f"  {kind} {where.rpartition('.')[2]} = {number};\n"


def _kind(value: Mapping[str, Any], nullable: bool, where: str) -> str:
    match value:
        case {"type": "array", "items": {"type": "integer"}} if nullable:
            return INTEGERS
        case {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}} if not nullable:
            return f"repeated {INTEGERS}"
        case {"type": "array", "items": dict(items)} if not nullable:
            return f"repeated {_single(items, where)}"
    kind = _single(value, where)
    return kind if "$ref" in value or kind == TIMESTAMP else f"optional {kind}"  # messages have presence anyway


def _single(value: Mapping[str, Any], where: str) -> str:
    match value:
        case {"$ref": str(name)}:
            return name
        case {"type": "string", "format": "date-time"}:
            return TIMESTAMP
        case {"type": "string", "format": "binary"}:
            return "bytes"
        case {"type": "integer", "exclusiveMaximum": above} if above > LARGEST_INT64:
            return "uint64"
        # A choice of words is a string: readers with an older enum would lose a word that is new to them.
        case {"type": str(kind)} if kind in _PRIMITIVES:
            return _PRIMITIVES[kind]
    raise TypeError(f"{where}: teach shared_utils/schemas/proto.py to write {value} as a field.")


def _choice(value: Mapping[str, Any], described: str) -> str:
    """The words to choose from, unless the description has them."""
    choice = value.get("enum", ())
    return "" if all(word in described for word in choice) else f"One of {', '.join(choice)}."


def _comment(text: str, indent: str = "") -> Iterator[str]:
    for line in textwrap.wrap(" ".join(text.split()), 117 - len(indent)):
        yield f"{indent}// {line}\n"
