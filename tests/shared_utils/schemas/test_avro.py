"""Every contract goes through Avro and comes back as it was."""

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import avro.schema
import fastavro
import generate_schemas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from sampling.models import SamplingRequest
from shared_utils.contracts import Failure, Seed
from shared_utils.schemas.avro import JSON, SEED, TIMESTAMP, avro_schema, from_avro, to_avro
from tests.shared_utils.schemas.contracts import CONTRACTS, messages
from text_encoder.models import TextEncoderResponse

each_topic = pytest.mark.parametrize("topic", generate_schemas.CONTRACTS)


def through_avro(message: BaseModel | Mapping[str, Any], schema: dict[str, Any]) -> Any:
    parsed, written = fastavro.parse_schema(schema), io.BytesIO()
    fastavro.schemaless_writer(written, parsed, to_avro(message, schema))
    written.seek(0)
    return from_avro(fastavro.schemaless_reader(written, parsed, None), schema)


def kinds(schema: dict[str, Any]) -> dict[str, Any]:
    return {field["name"]: field["type"] for field in schema["fields"]}


@each_topic
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_there_and_back(topic: str, data: st.DataObject) -> None:
    schema = generate_schemas.avro_of(topic)
    for contract in generate_schemas.CONTRACTS[topic]:
        message = data.draw(messages(contract))
        back = contract.model_validate(through_avro(message, schema))
        # As JSON both have their moments to the millisecond.
        assert back.model_dump_json() == message.model_dump_json()


@each_topic
def test_apaches_own_library_takes_the_schemas(topic: str) -> None:
    avro.schema.make_avsc_object(generate_schemas.avro_of(topic))


@pytest.mark.parametrize("contract", CONTRACTS)
def test_what_has_a_default_in_the_contract_has_one_in_avro(contract: type[BaseModel]) -> None:
    fields = {field["name"]: field for field in avro_schema(contract)["fields"]}
    required = {name for name, field in contract.model_fields.items() if field.is_required()}
    constant = {"status"} & fields.keys()
    without = {name for name, field in fields.items() if "default" not in field}
    nullable = {name for name in required if "null" in fields[name]["type"]}
    assert without == (required | constant) - nullable


def test_what_is_absent_stays_absent() -> None:
    """The default is the reader's, not the writer's."""
    paths = {"positive_encoding": "a.pt", "latent_image": "b.pt"}
    assert through_avro(paths | {"cfg": None}, avro_schema(SamplingRequest)) == paths


def test_a_null_that_a_contract_requires_is_kept() -> None:
    schema = avro_schema(TextEncoderResponse, Failure)
    assert "negative_encoding_path" in through_avro({"status": "success", "request_id": "a"}, schema)


def test_a_moment_may_be_given_as_json_has_it() -> None:
    record = to_avro({"timestamp": "2026-01-02T03:04:05.678Z"}, avro_schema(SamplingRequest))
    assert record == {"timestamp": datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)}


class Inner(BaseModel):
    value: float


class Every(BaseModel):
    text: str
    choice: Literal["a", "b"]
    number: int
    seed: Seed
    moment: datetime
    numbers: list[int]
    table: list[list[int]]
    anything: dict[str, Any]
    inner: Inner
    inners: dict[str, Inner]
    maybe: bool | None = None


def test_types() -> None:
    inner = {"type": "record", "name": "Inner", "namespace": "vtryon", "fields": [{"name": "value", "type": "double"}]}
    assert kinds(avro_schema(Every)) == {
        "text": "string",
        "choice": "string",
        "number": "long",
        "seed": SEED,
        "moment": TIMESTAMP,
        "numbers": {"type": "array", "items": "long"},
        "table": {"type": "array", "items": {"type": "array", "items": "long"}},
        "anything": JSON,
        "inner": inner,
        "inners": {"type": "map", "values": "vtryon.Inner"},
        "maybe": ["null", "boolean"],
    }


def test_a_name_of_its_own() -> None:
    assert avro_schema(Every, name="Other")["name"] == "Other"


def test_types_that_avro_has_no_place_for_are_refused() -> None:
    class Both(BaseModel):
        field: int | str

    class Bytes(BaseModel):
        field: tuple[int, str]

    class Text(BaseModel):
        text: int

    for contracts, name in (((Both,), "Both.field"), ((Bytes,), "Bytes.field"), ((Every, Text), "Every.text")):
        with pytest.raises(TypeError, match=name):
            avro_schema(*contracts)


def test_what_others_wrote_with_schemas_of_their_own_is_passed_on() -> None:
    """Unions of several types, enums and names that are not ours: the contract judges the values."""
    schema = {
        "type": "record",
        "name": "com.example.Theirs",
        "fields": [
            {"name": "seed", "type": ["null", "int", "string"]},
            {"name": "unknown", "type": {"type": "enum", "name": "Colour", "symbols": ["red"]}},
            {"name": "again", "type": ["null", "com.example.Theirs"], "default": None},
        ],
    }
    record = {"seed": "7", "unknown": "red", "again": {"seed": None, "unknown": "red", "again": None}}
    assert from_avro(record, schema) == {"seed": "7", "unknown": "red", "again": {"unknown": "red"}}
