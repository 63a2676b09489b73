"""A change that would keep readers of one version from messages of another is found, and named."""

import copy
from collections.abc import Callable
from typing import Any

import avro.schema
import generate_schemas
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_utils.schemas.compatibility import problems

Schema = dict[str, Any]
FIELDS = ("positive_encoding", "seed", "steps")
TYPES = ("string", "long", "double", ["null", "string"], {"type": "array", "items": "long"})
DEFAULTS: tuple[dict[str, Any], ...] = ({}, {"default": None})


def old() -> Schema:
    return copy.deepcopy(generate_schemas.avro_of("sampling-requests"))


def field(schema: Schema, name: str) -> dict[str, Any]:
    return next(found for found in schema["fields"] if found["name"] == name)


def remove(schema: Schema, name: str) -> None:
    schema["fields"].remove(field(schema, name))


def rename(schema: Schema, name: str) -> None:
    field(schema, name)["name"] = "other"


def retype(schema: Schema, name: str, kind: Any) -> None:
    field(schema, name)["type"] = kind


def add(schema: Schema, **described: Any) -> None:
    schema["fields"].append({"name": "new", "type": "string", **described})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda schema: remove(schema, "positive_encoding"), "SamplingRequest.positive_encoding is gone"),
        (lambda schema: rename(schema, "positive_encoding"), "SamplingRequest.positive_encoding is gone"),
        (lambda schema: rename(schema, "positive_encoding"), "SamplingRequest.other is new"),
        (add, "SamplingRequest.new is new"),
        (lambda schema: retype(schema, "positive_encoding", "long"), "SamplingRequest.positive_encoding was string"),
        (lambda schema: retype(schema, "positive_encoding", ["null", "string"]), "and is null or string"),
        (
            lambda schema: retype(schema, "seed", ["null", "long"]),
            "SamplingRequest.seed was null or decimal bytes 20 0",
        ),
        (lambda schema: retype(schema, "timestamp", ["null", "long"]), "timestamp was null or timestamp-millis long"),
        (lambda schema: schema.update(name="Other"), "vtryon.SamplingRequest is now called vtryon.Other"),
    ],
)
def test_breaks(change: Callable[[Schema], None], named: str) -> None:
    new = old()
    change(new)
    assert named in " ".join(problems(old(), new))
    assert problems(new, old())


def test_a_break_inside_a_nested_record_is_named() -> None:
    before, after = (generate_schemas.avro_of("sampling-responses") for _ in range(2))
    metadata = field(after, "metadata")["type"][1]
    remove(metadata, "seed")
    assert problems(before, after) == [
        "vtryon.SamplingMetadata.seed is gone, and older readers need it: keep it.",
    ]


def test_a_record_that_is_spelled_out_elsewhere_is_still_compared() -> None:
    inner = {"type": "record", "name": "Inner", "namespace": "vtryon", "fields": [{"name": "a", "type": "long"}]}
    other = inner | {"fields": [{"name": "a", "type": "string"}]}

    def outer(first: Any, second: Any) -> Schema:
        fields = [{"name": "first", "type": first}, {"name": "second", "type": second}]
        return {"type": "record", "name": "Outer", "namespace": "vtryon", "fields": fields}

    assert problems(outer(inner, "vtryon.Inner"), outer("vtryon.Inner", other)) == [
        "vtryon.Inner.a was long and is string: keep it, and add a field of another name."
    ]


def test_what_may_change() -> None:
    new = old()
    add(new, type=["null", "string"], default=None)
    remove(new, "steps")
    field(new, "seed")["doc"] = "Said otherwise."
    new["fields"].reverse()
    assert problems(old(), new) == []


@st.composite
def changed(draw: st.DrawFn) -> Schema:
    schema = old()
    for name in draw(st.sets(st.sampled_from(FIELDS))):
        change = draw(st.sampled_from(["remove", "rename", "retype"]))
        if change == "remove":
            remove(schema, name)
        elif change == "rename":
            field(schema, name)["name"] = f"other_{name}"
        else:
            described = field(schema, name)
            described.pop("default", None)
            described["type"] = draw(st.sampled_from(TYPES))
    if draw(st.booleans()):
        add(schema, type=["null", "string"], **draw(st.sampled_from(DEFAULTS)))
    return schema


@settings(deadline=None)
@given(changed())
def test_what_passes_here_passes_with_apaches_checker(new: Schema) -> None:
    if not problems(old(), new):
        assert understands(reader=new, writer=old())
        assert understands(reader=old(), writer=new)


def understands(reader: Schema, writer: Schema) -> bool:
    reading, writing = (avro.schema.make_avsc_object(schema) for schema in (reader, writer))
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    return checker.get_compatibility(reading, writing).compatibility is SchemaCompatibilityType.compatible
