"""Values in Avro, with a real schema registry."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from orchestrator.models import TryOnRequest
from orchestrator.state import StepState, TryOn
from sampling.models import SamplingRequest
from shared_utils.contracts import Cancel, Failure, Progress
from shared_utils.schemas.files import topic_schema
from shared_utils.transports.kafka.avro import AvroCodec, SchemaRefusedError
from shared_utils.transports.kafka.messages import InvalidMessageError
from shared_utils.transports.kafka.settings import KafkaSettings
from tests.kafka.registry import Registry
from text_encoder.models import TextEncoderResponse

pytestmark = pytest.mark.kafka

CANCELS, PROGRESS, STATUS = "tryon-cancels", "tryon-progress", "tryon-status"
SAMPLING, ANSWERS = "sampling-requests", "text-encoder-responses"
PATHS = {"positive_encoding": "a.pt", "latent_image": "b.pt"}


@pytest.fixture
def client(registry: Registry) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": registry.url}) as connected:
        yield connected


@pytest.fixture
def codec(registry: Registry) -> Iterator[AvroCodec]:
    with closing(AvroCodec(KafkaSettings(schema_registry_url=registry.url))) as opened:
        yield opened


def written(client: SchemaRegistryClient, topic: str, schema: dict[str, Any], record: dict[str, Any]) -> bytes:
    """What somebody else's producer, with Confluent's serializer and a schema of its own, puts on the topic."""
    serializer = AvroSerializer(client, Schema(json.dumps(schema), "AVRO"))
    return bytes(serializer(record, SerializationContext(topic, MessageField.VALUE)) or b"")


def without(schema: dict[str, Any] | None, *names: str) -> dict[str, Any]:
    assert schema
    return schema | {"fields": [field for field in schema["fields"] if field["name"] not in names]}


def test_a_message_goes_there_and_back(codec: AvroCodec, client: SchemaRegistryClient) -> None:
    request = SamplingRequest(**PATHS, seed=2**64 - 1, correlation_id="tryon")
    value = codec.encode(SAMPLING, request)
    fields = codec.decode(SAMPLING, value)
    assert fields["seed"] == 2**64 - 1
    assert SamplingRequest.model_validate(fields).model_dump_json() == request.model_dump_json()
    # The schema is there under the name that Confluent's tools look for.
    assert value[:1] == b"\0"
    latest = client.get_latest_version(f"{SAMPLING}-value")
    assert (latest.schema_id, json.loads(str(latest.schema.schema_str))) == (
        int.from_bytes(value[1:5]),
        topic_schema(SAMPLING),
    )


def test_a_mapping_says_only_what_it_holds(codec: AvroCodec) -> None:
    assert codec.decode(SAMPLING, codec.encode(SAMPLING, PATHS | {"seed": 7, "negative_encoding": None})) == PATHS | {
        "seed": 7
    }


def test_both_kinds_of_answer_lie_on_one_topic(codec: AvroCodec) -> None:
    metadata = {"processing_time_ms": 1, "image_shapes": [[1, 2, 3]], "reference_latent_shapes": []}
    success = TextEncoderResponse(
        request_id="a",
        positive_encoding_path="a.pt",
        positive_encoding_shape=[1, 2, 3],
        negative_encoding_path=None,
        negative_encoding_shape=None,
        metadata=metadata,
    )
    failure = Failure(request_id="b", error_code="CANCELLED", error_message="It was cancelled.", retryable=False)
    for answer in (success, failure):
        fields = codec.decode(ANSWERS, codec.encode(ANSWERS, answer))
        assert type(answer).model_validate(fields).model_dump_json() == answer.model_dump_json()


def test_a_state_with_results_of_any_shape(codec: AvroCodec) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    result = {"path": "a.pt", "nothing": None, "deep": [{"a": 1.5}]}
    step = StepState(state="done", attempt=1, started=moment, deadline=moment, result=result)
    request = TryOnRequest(person_image_path="p.png", garment_image_path="g.png")
    state = TryOn(correlation_id="a", request=request, steps={"sampling": step}, submitted=moment, updated=moment)
    fields = codec.decode(STATUS, codec.encode(STATUS, state))
    assert TryOn.model_validate(fields).model_dump_json() == state.model_dump_json()


def test_an_older_writer_lacks_a_field(codec: AvroCodec, client: SchemaRegistryClient) -> None:
    older = without(topic_schema(PROGRESS), "node", "total")
    value = written(client, PROGRESS, older, {"request_id": "a", "step": "sampling", "state": "running", "done": 3})
    progress = Progress.model_validate(codec.decode(PROGRESS, value))
    assert (progress.done, progress.total, progress.node) == (3, 0, None)


def test_a_newer_writer_has_a_field_that_we_don_t_know(codec: AvroCodec, client: SchemaRegistryClient) -> None:
    newer = without(topic_schema(CANCELS))
    newer["fields"].append({"name": "why", "type": ["null", "string"], "default": None})
    value = written(client, CANCELS, newer, {"correlation_id": "a", "why": "too slow"})
    assert Cancel.model_validate(codec.decode(CANCELS, value)).correlation_id == "a"


def test_a_writer_with_names_and_numbers_of_its_own(codec: AvroCodec, client: SchemaRegistryClient) -> None:
    fields = [{"name": name, "type": kind} for name, kind in (("positive_encoding", "string"), ("seed", "long"))]
    theirs = {"type": "record", "name": "Ask", "namespace": "com.example", "fields": fields}
    value = written(client, "com-example-requests", theirs, {"positive_encoding": "a.pt", "seed": 7})
    assert codec.decode(SAMPLING, value) == {"positive_encoding": "a.pt", "seed": 7}


def test_a_topic_of_another_name_has_the_schema_that_was_registered_for_it(
    codec: AvroCodec, client: SchemaRegistryClient
) -> None:
    with pytest.raises(SchemaRefusedError, match=r"Register the schema .* as my-sampling-value"):
        codec.encode("my-sampling", PATHS)
    client.register_schema("my-sampling-value", Schema(json.dumps(topic_schema(SAMPLING)), "AVRO"))
    assert codec.decode("my-sampling", codec.encode("my-sampling", PATHS)) == PATHS


def test_the_registry_refuses_what_older_readers_would_not_understand(
    codec: AvroCodec, client: SchemaRegistryClient
) -> None:
    other = {"type": "record", "name": "Cancel", "namespace": "vtryon", "fields": [{"name": "all", "type": "string"}]}
    client.register_schema("stage-cancels-value", Schema(json.dumps(other), "AVRO"))
    client.set_compatibility("stage-cancels-value", "FULL")
    with pytest.raises(SchemaRefusedError) as refused:
        codec.encode("stage-cancels", Cancel(correlation_id="a"))
    assert not refused.value.retryable


def test_a_message_that_does_not_fit(codec: AvroCodec) -> None:
    for message in ({"positive_encoding": "a.pt"}, PATHS | {"seed": "many"}, PATHS | {"steps": "four"}):
        with pytest.raises(InvalidMessageError, match="for sampling-requests does not fit its schema"):
            codec.encode(SAMPLING, message)


def test_values_that_can_t_be_read(codec: AvroCodec) -> None:
    value = codec.encode(SAMPLING, SamplingRequest(**PATHS))
    wrong = {
        b"": "wire format",
        b'{"a": "JSON"}': "wire format",
        value[:5]: "wire format",
        b"\1" + value[1:]: "wire format",
        b"\0" + (99999).to_bytes(4) + value[5:]: "written with schema 99999, which http://.* does not have",
        value[:-5]: "can't be read",
        value[:7]: "can't be read",
        value[:5] + b"\xff" * 20: "can't be read",
    }
    for damaged, why in wrong.items():
        with pytest.raises(InvalidMessageError, match=why) as raised:
            codec.decode(SAMPLING, damaged)
        assert not raised.value.retryable


def test_a_value_that_is_no_record(codec: AvroCodec, client: SchemaRegistryClient) -> None:
    number = client.register_schema("texts-value", Schema('{"type": "string"}', "AVRO"))
    with pytest.raises(InvalidMessageError, match="is a str, not a record"):
        codec.decode(SAMPLING, b"\0" + number.to_bytes(4) + b"\4hi")
