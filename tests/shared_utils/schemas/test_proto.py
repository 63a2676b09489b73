"""A contract as a message: types, presence, numbers, comments."""

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from pydantic import BaseModel, Field

from shared_utils.contracts import Seed, Timestamp
from shared_utils.schemas.proto import Method, Numbers, Service, numbers, proto_file
from shared_utils.schemas.proto_compatibility import proto_problems
from shared_utils.schemas.protoc import ProtoError, described, python_modules


class Part(BaseModel):
    """A part."""

    size: int


class Whole(BaseModel):
    text: str = Field(description="Some words.")
    choice: str = Field("a", description="One of a and b.")
    count: int = 3
    ratio: float | None = None
    yes: bool = True
    seed: Seed | None = None
    at: Timestamp
    content: bytes = b""
    shape: list[int]
    maybe_shape: list[int] | None = None
    shapes: list[list[int]]
    names: list[str] = []
    part: Part | None = None
    parts: list[Part] = []


def text_of(model: type[BaseModel], given: Numbers | None = None) -> str:
    return proto_file("About.", [Service("Doing", "Does.", [Method("Do", "Does it.", model, Part)])], given or {})


def file_of(model: type[BaseModel], given: Numbers | None = None) -> FileDescriptorProto:
    return described(text_of(model, given))


def test_every_type_has_its_own() -> None:
    lines = [line.strip() for line in text_of(Whole).splitlines()]
    for field in (
        "optional string text = 1;",
        "optional int64 count = 3;",
        "optional double ratio = 4;",
        "optional bool yes = 5;",
        "optional uint64 seed = 6;",
        "google.protobuf.Timestamp at = 7;",
        "optional bytes content = 8;",
        "repeated int64 shape = 9;",
        "Integers maybe_shape = 10;",
        "repeated Integers shapes = 11;",
        "repeated string names = 12;",
        "Part part = 13;",
        "repeated Part parts = 14;",
    ):
        assert field in lines


def test_what_is_no_list_has_presence() -> None:
    (whole,) = (message for message in file_of(Whole).message_type if message.name == "Whole")
    for field in whole.field:
        is_message = field.type == FieldDescriptorProto.TYPE_MESSAGE
        assert field.proto3_optional or is_message or field.label == FieldDescriptorProto.LABEL_REPEATED


def test_descriptions_are_comments() -> None:
    text = text_of(Whole)
    assert "  // Some words. Required.\n  optional string text" in text
    assert "// A part.\nmessage Part {" in text
    assert "  // Does it.\n  rpc Do(Whole) returns (Part);" in text


@pytest.mark.parametrize("kind", [dict[str, str], int | str, list[str] | None, list[list[str]]])
def test_what_it_can_not_write_is_named(kind: type) -> None:
    class Odd(BaseModel):
        field: kind  # type: ignore[valid-type]

    with pytest.raises(TypeError, match=r"Odd\.field"):
        text_of(Odd)


# ---- numbers


class Two(BaseModel):
    new: str
    old: str


def test_fields_keep_their_numbers_and_new_ones_get_free_ones() -> None:
    assert numbers(file_of(Two, {"Two": {"old": 4}}))["Two"] == {"new": 5, "old": 4}


def test_those_of_fields_that_are_gone_are_reserved_in_any_order() -> None:
    given = {"Two": {"b": 3, "a": 7, "old": 1, "c": 2}}
    text = text_of(Two, given)
    assert 'reserved 2, 3, 7;\n  reserved "c", "b", "a";' in text
    assert numbers(described(text))["Two"] == {**given["Two"], "new": 8}


def test_a_field_that_comes_back_gets_its_number_back() -> None:
    without_it = {"Part": {"size": 1, "old": 6}}
    file = file_of(Part, without_it)
    assert numbers(file)["Part"] == without_it["Part"]


def test_the_first_file_goes_before_the_others() -> None:
    first, second = file_of(Two, {"Two": {"old": 4}}), file_of(Two, {"Two": {"old": 9, "more": 12}})
    assert numbers(first, second)["Two"] == {"old": 4, "new": 5, "more": 12}


# ---- what a release would not understand


def test_the_same_is_compatible() -> None:
    assert proto_problems(file_of(Whole), file_of(Whole)) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "optional string text = 1;",
            "optional bytes text = 1;",
            "Whole.text was optional string and is optional b",
        ),
        ("repeated int64 shape = 9;", "optional int64 shape = 9;", "Whole.shape was repeated int64"),
        ("Part part = 13;", "Whole part = 13;", "Whole.part was optional vtryon.v1.Part"),
        ("optional int64 count = 3;", "optional int64 count = 30;", "The number 3 belongs to Whole.count"),
        ("optional int64 count = 3;", "", "The number 3 belongs to Whole.count"),
        (
            "returns (Part)",
            "returns (stream Part)",
            "The method Doing.Do was Whole -> Part and is Whole -> s",
        ),
        ("rpc Do(", "rpc Undo(", "The method Doing.Do is gone"),
        ("package vtryon.v1;", "package vtryon.v2;", "The package vtryon.v1 is now called vtryon.v2"),
    ],
)
def test_a_break_is_named(old: str, new: str, problem: str) -> None:
    text = text_of(Whole)
    assert old in text
    (found,) = proto_problems(described(text), described(text.replace(old, new)))
    assert found.startswith(problem)


def test_a_message_that_is_gone_is_named() -> None:
    text = text_of(Whole)
    assert proto_problems(described(f"{text}message Gone {{}}"), described(text)) == [
        "The message Gone is gone: keep it."
    ]


def test_what_is_no_proto(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ProtoError):
        python_modules("message {")
    assert "vtryon.proto" in capfd.readouterr().err
