"""Reads a config.pbtxt as Triton does: as text of a message, in which nothing may be unknown."""

from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from shared_utils.schemas.protoc import described
from shared_utils.transports.triton.tensors import StageContract
from tests.conftest import STAGES

CONTRACTS = [StageContract(stage.name, stage.request_type, stage.response_type) for stage in STAGES]


def read(text: str) -> Any:
    """The configuration."""
    return text_format.Parse(text, _kind()())


@cache
def _kind() -> Any:
    pool = DescriptorPool()
    pool.Add(described((Path(__file__).parent / "model_config.proto").read_text("utf-8")))
    return GetMessageClass(pool.FindMessageTypeByName("triton_config.ModelConfig"))


def kinds(tensors: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and dims of a configuration's inputs or outputs, by their names."""
    kind = _kind().DESCRIPTOR.fields_by_name["input"].message_type.fields_by_name["data_type"].enum_type
    return {tensor.name: (kind.values_by_number[tensor.data_type].name, tuple(tensor.dims)) for tensor in tensors}
