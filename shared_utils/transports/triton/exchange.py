"""Between tensors and a stage's request and response: where a stage names files, their content can travel.

What came as data lies in a private folder while a request is worked on, so that a stage finds files as it always does.
"""

import sys
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel

from shared_utils.artifacts.tensors import as_latent, tensor_file
from shared_utils.contracts import Success
from shared_utils.errors import InternalError, InvalidRequestError, failing_as
from shared_utils.transports.triton.arrays import Array, Arrays, texts, values_of
from shared_utils.transports.triton.tensors import FILES, Kind, data_inputs, data_outputs, field_tensors, names_a_file


def fields_of(inputs: Arrays, request_type: type[BaseModel], folder: Path) -> dict[str, Any]:
    """The fields that these tensors make; what came as data is written to the folder. An empty tensor gives nothing."""
    given = {name: array for name, array in inputs.items() if array.size}
    fields: dict[str, Any] = {}
    for name, many in _fields(request_type).items():
        if name in given:
            values = values_of(name, given[name])
            if names_a_file(name):
                _check_names(name, values)
            fields[name] = values if many else values[0]
    for name, (data, kind) in _files(request_type).items():
        if data in given:
            if name in fields:
                raise InvalidRequestError(f"{data} and {name} both came: give the content or the path.")
            fields[name] = str(_written(folder / data, given[data], kind))
    return fields


def outputs_of(response: Success, stage: str, wanted: AbstractSet[str], kept: bool) -> dict[str, Array]:
    """The tensors that were asked for of a stage's response. Only where its files are kept are they named."""
    made = data_outputs(type(response))
    outputs = {
        tensor.name: _read(getattr(response, name), FILES[name][1])
        for name, tensor in made.items()
        if tensor.name in wanted
    }
    if stage in wanted:
        outputs[stage] = texts([response.model_dump_json(exclude=None if kept else set(made))])
    return outputs


def _check_names(field: str, values: Sequence[str]) -> None:
    """Triton starts Python without a locale: names of files that are not ASCII can't be written there."""
    encoding = sys.getfilesystemencoding()
    try:
        for value in values:
            value.encode(encoding)
    except UnicodeEncodeError:
        raise InvalidRequestError(
            f"{field}={values[0]!r} is not usable: Triton's Python takes only {encoding} in names of files. "
            "Choose another name, or send the content."
        ) from None


@cache
def _fields(request_type: type[BaseModel]) -> dict[str, bool]:
    """The names of the fields, and whether each takes a list."""
    return {tensor.name: tensor.dims == (-1,) for tensor in field_tensors(request_type)}


@cache
def _files(request_type: type[BaseModel]) -> dict[str, tuple[str, Kind]]:
    return {name: FILES[name] for name in data_inputs(request_type)}


def _written(file: Path, array: Array, kind: Kind) -> Path:
    if kind is Kind.LATENT:
        content = tensor_file({"samples": torch.from_numpy(np.array(array, dtype=np.float32))})
    else:
        content = array.tobytes()
    with failing_as(InternalError, f"writing to {file.parent}"):
        file.write_bytes(content)
    return file


def _read(path: str | None, kind: Kind) -> Array:
    """The content of a file that the stage made, or an empty tensor where it made none."""
    if path is None:
        return np.empty(0, dtype=np.uint8)
    content = Path(path).read_bytes()
    if kind is not Kind.LATENT:
        return np.frombuffer(content, dtype=np.uint8)
    samples = as_latent(torch.load(BytesIO(content), weights_only=True), path)["samples"].float()
    # Without the dimension for time it came from a file that had none either.
    array: Array = (samples if samples.ndim == 5 else samples.unsqueeze(2)).contiguous().numpy()
    return array
