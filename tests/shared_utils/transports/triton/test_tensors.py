"""The contracts as tensors: nothing is lost, and nothing means two things."""

from typing import Literal

import pytest
from pydantic import BaseModel

from shared_utils.contracts import Seed, Timestamp
from shared_utils.transports.triton.tensors import (
    FILES,
    WAIT_FOR,
    StageContract,
    Tensor,
    data_inputs,
    data_outputs,
    field_tensors,
    json_output,
)
from tests.shared_utils.transports.triton.configs import CONTRACTS


class Everything(BaseModel):
    text: str
    word: Literal["a", "b"] | None = None
    moment: Timestamp
    number: float = 1.0
    count: int
    seed: Seed
    flag: bool | None = None
    names: list[str] = []


def shape_of(tensor: Tensor) -> tuple[str, tuple[int, ...]]:
    return tensor.datatype, tensor.dims


def test_the_types_of_fields() -> None:
    assert {tensor.name: shape_of(tensor) for tensor in field_tensors(Everything)} == {
        "text": ("TYPE_STRING", (1,)),
        "word": ("TYPE_STRING", (1,)),
        "moment": ("TYPE_STRING", (1,)),
        "number": ("TYPE_FP64", (1,)),
        "count": ("TYPE_INT64", (1,)),
        "seed": ("TYPE_UINT64", (1,)),
        "flag": ("TYPE_BOOL", (1,)),
        "names": ("TYPE_STRING", (-1,)),
    }
    assert all(tensor.optional for tensor in field_tensors(Everything))


def test_what_the_protocol_calls_them() -> None:
    assert [tensor.wire_type for tensor in field_tensors(Everything)] == [
        *("BYTES", "BYTES", "BYTES", "FP64", "INT64", "UINT64", "BOOL", "BYTES")
    ]


def test_words_to_choose_from_are_told() -> None:
    assert next(each for each in field_tensors(Everything) if each.name == "word").description == "One of a, b."


@pytest.mark.parametrize("kind", [int | str, dict[str, int], list[list[int]]])
def test_what_can_not_be_a_tensor_is_named(kind: type) -> None:
    odd = type("Odd", (BaseModel,), {"__annotations__": {"field": kind}})
    with pytest.raises(TypeError, match=r"Odd\.field"):
        field_tensors(odd)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_each_field_is_an_input(contract: StageContract) -> None:
    inputs = contract.inputs()
    data = {tensor.name for tensor in data_inputs(contract.request_type).values()}
    assert {tensor.name for tensor in inputs} == contract.request_type.model_fields.keys() | data | {WAIT_FOR.name}
    assert len({tensor.name for tensor in inputs}) == len(inputs)
    assert all(tensor.optional and tensor.description for tensor in inputs)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_each_file_can_travel_as_data(contract: StageContract) -> None:
    """A path that were forgotten in FILES would be told to callers after its file is gone."""
    paths = {name for name in contract.response_type.model_fields if name.endswith("_path")}
    assert data_outputs(contract.response_type).keys() == paths
    schema = contract.request_type.model_json_schema()["properties"]
    longest = {name: str(value) for name, value in schema.items() if "'maxLength': 4096" in str(value)}
    assert data_inputs(contract.request_type).keys() == longest.keys() - {"output_dir"}


def test_no_output_is_of_two_stages() -> None:
    """What is asked for says which stage is meant."""
    names = [tensor.name for contract in CONTRACTS for tensor in contract.outputs()]
    assert len(set(names)) == len(names)
    assert [contract.outputs()[-1] for contract in CONTRACTS] == [json_output(each.name) for each in CONTRACTS]


def test_a_name_has_one_type_in_all_stages() -> None:
    """One model hosts them all."""
    for side in (StageContract.inputs, StageContract.outputs):
        found = {(tensor.name, *shape_of(tensor)) for contract in CONTRACTS for tensor in side(contract)}
        assert len({name for name, *_ in found}) == len(found)


def test_what_one_stage_makes_another_can_read() -> None:
    made = {tensor.name: shape_of(tensor) for contract in CONTRACTS for tensor in contract.outputs()}
    read = {tensor.name: shape_of(tensor) for contract in CONTRACTS for tensor in contract.inputs()}
    for name in ("latent", "positive", "negative", "sampled_latent"):
        assert made[name] == read[name]
    assert {name for name, _ in FILES.values()} <= made.keys() | read.keys()
