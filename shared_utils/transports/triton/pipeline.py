"""The ensemble of the whole: a person and a garment in, the new picture out.

latent_encoder ──> text_encoder ──> sampling ──> decoding

One after the other, though the two encoders need nothing of each other: Triton loses a request whose steps fail at the
same time, as these two do for a picture that is none.

What the steps make goes on as tensors; only the last writes a file, and that only if the request names a folder.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared_utils.transports.triton.config import Model, Step
from shared_utils.transports.triton.tensors import (
    FILES,
    WAIT_FOR,
    Kind,
    StageContract,
    Tensor,
    data_inputs,
    data_outputs,
    field_tensors,
    json_output,
)

NAME = "vtryon_pipeline"
PURPOSE = "A whole try-on: person and garment in, the new picture out."
PICTURES = {
    "person": ("person_image_path", "the person, the area to dress painted green"),
    "garment": ("garment_image_path", "the garment"),
    "mask": ("mask_image_path", "the area alone, picture 3 of the default prompt; may be left out"),
}
"""What a try-on is made of: each as data, or as the path of a file under the name that a TryOnRequest has for it."""


@dataclass(frozen=True)
class Place:
    """What a stage reads, by the names of its own inputs, and what it makes."""

    reads: Mapping[str, str]
    gives: tuple[str, ...]


PLACES = {
    "latent_encoder": Place({"image": "person"}, ("latent",)),
    "text_encoder": Place(
        {"image1": "person", "image2": "garment", "image3": "mask", WAIT_FOR.name: "latent_encoder"},
        ("positive", "negative"),
    ),
    "sampling": Place(
        {"positive": "positive", "negative": "negative", "latent": "latent"},
        ("sampled_latent",),
    ),
    "decoding": Place({"sampled_latent": "sampled_latent"}, ("image",)),
}
LAST = "decoding"
OF_THE_LAST = ("output_dir", "output_filename", "output_format", "quality")
"""What is said of the new picture, and of no other file."""


def pipeline(stages: Sequence[StageContract], hosts: Mapping[str, str]) -> tuple[Model, list[Step]]:
    """The model of the whole and its steps, where `hosts` names the model that runs each stage."""
    picture = [
        tensor
        for stage in stages
        if stage.name == LAST
        for tensor in data_outputs(stage.response_type).values()
        if tensor.name in PLACES[LAST].gives
    ]
    outputs = [*picture, *(json_output(stage.name) for stage in stages)]
    return Model(NAME, PURPOSE, [*_pictures(), *_fields(stages)], outputs), [
        Step(hosts[stage.name], _reads(stage), _gives(stage)) for stage in stages
    ]


def _pictures() -> list[Tensor]:
    picture = Kind.PICTURE
    return [
        tensor
        for name, (path, what) in PICTURES.items()
        for tensor in (
            Tensor(path, "TYPE_STRING", (1,), optional=True, description=f"Path of the picture: {what}."),
            Tensor(name, picture.datatype, picture.dims, optional=True, description=f"{picture.words}: {what}."),
        )
    ]


def _fields(stages: Iterable[StageContract]) -> list[Tensor]:
    """The fields of all stages, each once, as the first that has it describes it."""
    found: dict[str, Tensor] = {}
    for stage in stages:
        found |= {tensor.name: tensor for tensor in _fields_of(stage) if tensor.name not in found}
    return list(found.values())


def _fields_of(stage: StageContract) -> list[Tensor]:
    """The fields that this stage is given. What names a file that a step makes is none: that comes as a tensor."""
    return [
        tensor
        for tensor in field_tensors(stage.request_type)
        if tensor.name not in FILES and (stage.name == LAST or tensor.name not in OF_THE_LAST)
    ]


def _reads(stage: StageContract) -> dict[str, str]:
    """The tensors of the whole, by the stage's own inputs. A picture comes as its path or as data."""
    reads = PLACES[stage.name].reads
    paths = {
        field: PICTURES[reads[tensor.name]][0]
        for field, tensor in data_inputs(stage.request_type).items()
        if reads[tensor.name] in PICTURES
    }
    return {**paths, **reads, **{tensor.name: tensor.name for tensor in _fields_of(stage)}}


def _gives(stage: StageContract) -> dict[str, str]:
    return {name: name for name in (*PLACES[stage.name].gives, stage.name)}
