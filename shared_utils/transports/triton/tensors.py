"""A stage's contract as the tensors of a Triton model.

`request_tensors` gives what a request may bring: a tensor for each field of the contract, and for each field that names
a file the file's content as well (`data_inputs`: the field's name -> its tensor). `response_tensors` gives what comes
back: the content of the files that the response names (`data_outputs`), and last the JSON of the response, called like
the stage. `FILES` says which fields name files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel

Datatype = Literal["TYPE_STRING", "TYPE_FP64", "TYPE_FP32", "TYPE_INT64", "TYPE_UINT64", "TYPE_BOOL", "TYPE_UINT8"]
LARGEST_INT64 = 2**63 - 1
_PLAIN: dict[str, Datatype] = {
    "string": "TYPE_STRING",
    "number": "TYPE_FP64",
    "boolean": "TYPE_BOOL",
    "integer": "TYPE_INT64",
}
_ONLY_HERE = {
    "request_id": "Left out: the request id of the call to Triton, if it can be one.",
    "output_dir": "Left out: no file is kept.",
}
"""What is to be said of a field besides what the contract says."""


@dataclass(frozen=True)
class Tensor:
    """An input or an output of a model, as config.pbtxt has it."""

    name: str
    datatype: Datatype
    dims: tuple[int, ...]
    """-1: of any length."""
    optional: bool = False
    description: str = ""

    @property
    def wire_type(self) -> str:
        """The type as the protocol calls it: BYTES for TYPE_STRING, else the same without TYPE_."""
        return "BYTES" if self.datatype == "TYPE_STRING" else self.datatype.removeprefix("TYPE_")


WAIT_FOR = Tensor(
    "wait_for",
    "TYPE_STRING",
    (1,),
    optional=True,
    description="Not read. A step of an ensemble begins when what goes in here has been made.",
)
"""An ensemble of which two steps fail at the same time is, on Triton 24.10, never answered."""


@dataclass(frozen=True)
class StageContract:
    """What of a stage a model repository is made from."""

    name: str
    request_type: type[BaseModel]
    response_type: type[BaseModel]

    def inputs(self) -> list[Tensor]:
        return [*request_tensors(self.request_type), WAIT_FOR]

    def outputs(self) -> list[Tensor]:
        return response_tensors(self.name, self.response_type)


class Kind(Enum):
    """How the content of a file travels: datatype, dims, and what that is in words."""

    PICTURE = ("TYPE_UINT8", (-1,), "The bytes of the picture (PNG, JPEG, WebP)")
    CONDITIONING = ("TYPE_UINT8", (-1,), "The bytes of the .pt file, reference latents and all")
    LATENT = ("TYPE_FP32", (1, -1, 1, -1, -1), "The latent itself")

    def __init__(self, datatype: Datatype, dims: tuple[int, ...], words: str) -> None:
        self.datatype = datatype
        self.dims = dims
        self.words = words


FILES: Mapping[str, tuple[str, Kind]] = {
    "image_path": ("image", Kind.PICTURE),
    "image1_path": ("image1", Kind.PICTURE),
    "image2_path": ("image2", Kind.PICTURE),
    "image3_path": ("image3", Kind.PICTURE),
    "scaled_image_path": ("scaled_image", Kind.PICTURE),
    "positive_encoding": ("positive", Kind.CONDITIONING),
    "positive_encoding_path": ("positive", Kind.CONDITIONING),
    "negative_encoding": ("negative", Kind.CONDITIONING),
    "negative_encoding_path": ("negative", Kind.CONDITIONING),
    "latent_image": ("latent", Kind.LATENT),
    "latent_file_path": ("latent", Kind.LATENT),
    "latent_path": ("sampled_latent", Kind.LATENT),
    "sampled_latent_path": ("sampled_latent", Kind.LATENT),
}
"""The fields of requests and responses that name files: the tensor that holds the file's content, and its kind."""


def names_a_file(field: str) -> bool:
    """Whether it has a path, or the name of a file or a folder."""
    return field in FILES or field in ("output_dir", "output_filename") or field.endswith("_model_name")


def request_tensors(request_type: type[BaseModel]) -> list[Tensor]:
    """All inputs of a stage: its fields, each followed by the tensor that can take its place. All are optional."""
    data = data_inputs(request_type)
    return [
        tensor
        for field in field_tensors(request_type)
        for tensor in (field, data.get(field.name))
        if tensor is not None
    ]


def field_tensors(request_type: type[BaseModel]) -> list[Tensor]:
    """A tensor for each field, of the field's name."""
    return [_field_tensor(request_type.__name__, name, schema) for name, schema in _properties(request_type).items()]


def data_inputs(request_type: type[BaseModel]) -> dict[str, Tensor]:
    """The tensors that can take the place of a field that names a file, by the name of the field."""
    return {
        name: _data_tensor(name, f"{FILES[name][1].words}, instead of {name}.", optional=True)
        for name, schema in _properties(request_type).items()
        if name in FILES
    }


def response_tensors(stage: str, response_type: type[BaseModel]) -> list[Tensor]:
    """All outputs of a stage: the content of the files that it makes, and its response as JSON."""
    return [*data_outputs(response_type).values(), json_output(stage)]


def data_outputs(response_type: type[BaseModel]) -> dict[str, Tensor]:
    """The tensors with the content of the files that a response names, by the name of the field."""
    return {
        name: _data_tensor(name, f"{FILES[name][1].words}, as in {name}{_unless_null(schema)}.")
        for name, schema in _properties(response_type).items()
        if name in FILES
    }


def json_output(stage: str) -> Tensor:
    """The output that holds the response of the stage."""
    return Tensor(
        stage, "TYPE_STRING", (1,), description="The response as JSON, without paths if no output_dir was given."
    )


def _properties(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = model.model_json_schema()["properties"]
    return found


def _data_tensor(field: str, description: str, optional: bool = False) -> Tensor:
    name, kind = FILES[field]
    return Tensor(name, kind.datatype, kind.dims, optional, description)


def _field_tensor(model: str, name: str, schema: Mapping[str, Any]) -> Tensor:
    values = _values(schema)
    if len(values) != 1:
        raise TypeError(f"{model}.{name} has {len(values)} types besides null; one can be written as a tensor.")
    value, dims = values[0], (1,)
    if value.get("type") == "array":
        value, dims = value["items"], (-1,)
    description = " ".join(word for word in (_described(schema), _choice(value, schema), _ONLY_HERE.get(name)) if word)
    return Tensor(name, _datatype(value, f"{model}.{name}"), dims, optional=True, description=description)


def _datatype(value: Mapping[str, Any], where: str) -> Datatype:
    match value:
        case {"type": "integer", "exclusiveMaximum": above} if above > LARGEST_INT64:
            return "TYPE_UINT64"
        case {"type": str(kind)} if kind in _PLAIN:
            return _PLAIN[kind]
    raise TypeError(f"{where}: teach shared_utils/transports/triton/tensors.py to write {value} as a tensor.")


def _values(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a field may be besides null."""
    return [branch for branch in schema.get("anyOf", [schema]) if branch.get("type") != "null"]


def _described(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", ""))


def _choice(value: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """The words to choose from, unless the description has them."""
    choice = value.get("enum", ())
    return "" if all(word in _described(schema) for word in choice) else f"One of {', '.join(choice)}."


def _unless_null(schema: Mapping[str, Any]) -> str:
    return "; empty if it was not made" if {"type": "null"} in schema.get("anyOf", ()) else ""
