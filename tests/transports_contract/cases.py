"""What the stages are asked: the good requests, and the bad ones of tests/bad_input with the codes that they give."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from tests.bad_input.conftest import RED, Good
from tests.bad_input.test_bad_models import USES
from tests.bad_input.test_bad_outputs import NO_FOLDER
from tests.bad_input.test_bad_parameters import PATHS, REQUIRED, SURROGATE, WRONG
from tests.bad_input.test_bad_pictures import NO_FILE, UNUSABLE
from tests.bad_input.test_bad_tensors import NO_CONDITIONING, NO_LATENT

Fields = dict[str, Any]
FLOATS = {"megapixels", "cfg", "denoise", "shift", "strength", "lora_strength"}
MOST_VALUES = 5
"""Of the wrong ones of each field: that all of them are found wrong is tested where the stages are."""


@dataclass(frozen=True)
class Case:
    """A change to a good request, and the code that it is answered with; None: with success."""

    stage: str
    title: str
    code: str | None
    changes: Callable[[Path], Fields]
    """Given a folder for the files that it needs."""

    def __str__(self) -> str:
        return f"{self.stage}-{self.code}-{self.title}"


def good_files(folder: Path) -> Good:
    """As those of tests/bad_input."""
    Image.new("RGB", (96, 64), RED).save(folder / "picture.png")
    torch.manual_seed(0)
    torch.save(torch.zeros(1, 16, 1, 8, 8), folder / "latent.pt")
    conditioning = [[torch.randn(1, 6, 256), {"reference_latents": [torch.randn(1, 16, 1, 8, 8)]}]]
    torch.save(conditioning, folder / "conditioning.pt")
    return Good(*(str(folder / name) for name in ("picture.png", "latent.pt", "conditioning.pt")))


def value(stage: str, title: str, code: str | None, **changes: Any) -> Case:
    return Case(stage, title, code, lambda folder: changes)


def file(stage: str, title: str, code: str | None, field: str, make: Callable[[Path], Any]) -> Case:
    """`make` returns the path, or makes the one it is given."""

    def changes(folder: Path) -> Fields:
        made = make(folder / f"made{Path(title).suffix}")
        return {field: str(made or folder / f"made{Path(title).suffix}")}

    return Case(stage, title, code, changes)


def in_folder(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """For those that choose the name themselves."""
    return lambda path: make(path.parent)


def saved(tensor: Any) -> Callable[[Path], None]:
    return lambda path: torch.save(tensor, path)


def picture(width: int, height: int) -> Callable[[Path], None]:
    return lambda path: Image.new("RGB", (width, height), RED).save(path, "PNG")


def bytes_of(content: Callable[[], bytes]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(content())

    return make


def typed(field: str, wrong: Any) -> Any:
    """A whole number for a field of other ones: as such, because some transports show it so."""
    return float(wrong) if field in FLOATS and type(wrong) is int else wrong


GOOD = [
    value("latent_encoder", "good", None),
    value("text_encoder", "good", None, encode_negative=False, image3_path=None),  # each picture takes seconds
    value("sampling", "good", None, seed=2**64 - 1, cfg=2.5),
    value("decoding", "good", None),
    value("latent_encoder", "other values", None, upscale_method="bicubic", megapixels=0.02, correlation_id="c1"),
    value("sampling", "other values", None, steps=2, scheduler="karras", denoise=0.5, lora_strength=0.0, shift=1.5),
    value("decoding", "other values", None, output_filename="ünder a name.webp", quality=40),
]
PICTURES = [
    *(file("latent_encoder", name, "IMAGE_INVALID", "image_path", bytes_of(UNUSABLE[name])) for name in UNUSABLE),
    *(
        file("latent_encoder", name, "IMAGE_NOT_FOUND", "image_path", in_folder(NO_FILE[name]))
        for name in NO_FILE
        if name != "the home of nobody"  # a relative path, which is another one for each transport
    ),
    file("text_encoder", "cut-off.png", "IMAGE_INVALID", "image3_path", bytes_of(UNUSABLE["cut-off.png"])),
    file("text_encoder", "missing", "IMAGE_NOT_FOUND", "image2_path", in_folder(NO_FILE["missing"])),
    file("latent_encoder", "a thread.png", "SCALING_FAILED", "image_path", picture(1, 9000)),
    file("text_encoder", "a thread.png", "SCALING_FAILED", "image1_path", picture(1, 9000)),
]
TENSORS = [
    *(
        file("decoding", f"{name}.pt", "INPUT_TENSOR_INVALID", "latent_path", saved(NO_LATENT[name]))
        for name in NO_LATENT
    ),
    *(
        file("sampling", f"{name}.pt", "INPUT_TENSOR_INVALID", "positive_encoding", saved(NO_CONDITIONING[name]))
        for name in NO_CONDITIONING
    ),
    file("sampling", "text.pt", "INPUT_TENSOR_INVALID", "latent_image", bytes_of(lambda: b"no")),
    file("sampling", "pipe.pt", "INPUT_TENSOR_NOT_FOUND", "latent_image", os.mkfifo),
    *(value(stage, field, "INPUT_TENSOR_NOT_FOUND", **{field: "/nowhere/gone.pt"}) for stage, field in REQUIRED[3:]),
    *(
        file(stage, f"{field} of another model.pt", "INPUT_TENSOR_MISMATCH", field, saved(torch.zeros(1, 8, 1, 8, 8)))
        for stage, field in (("sampling", "latent_image"), ("decoding", "latent_path"))
    ),
    file(
        "sampling",
        "text of another model.pt",
        "INPUT_TENSOR_MISMATCH",
        "positive_encoding",
        saved([[torch.zeros(1, 6, 128), {}]]),
    ),
]
MODELS = [
    *(value(use.stage, "gone", use.not_found, **{use.field: "gone.safetensors"}) for use in USES),
    *(value(use.stage, "half", use.invalid, **{use.field: "half.safetensors"}) for use in USES),
    *(value(use.stage, "leads out", "INVALID_REQUEST", **{use.field: "../x.safetensors"}) for use in USES),
]
OUTPUTS = [
    *(
        file("decoding", name, "OUTPUT_DIR_NOT_WRITABLE", "output_dir", in_folder(NO_FOLDER[name]))
        for name in NO_FOLDER
    ),
    *(
        value(stage, "/proc", "OUTPUT_DIR_NOT_WRITABLE", output_dir="/proc/x")
        for stage in ("latent_encoder", "sampling")
    ),
    *(
        value("decoding", repr(name), "PATH_NOT_ALLOWED", output_filename=name)
        for name in ("../x.png", "/etc/x.png", "", "a\nb", "x" * 300)
    ),
]
PARAMETERS = [
    *(
        value(stage, f"{field}={wrong!r:.30}", "INVALID_REQUEST", **{field: typed(field, wrong)})
        for stage, field, values in WRONG
        for wrong in values[:MOST_VALUES]
    ),
    *(value(stage, f"no {field}", "INVALID_REQUEST", **{field: None}) for stage, field in REQUIRED),
    *(
        value(stage, f"{field}={path!r:.30}", "INVALID_REQUEST", **{field: path})
        for stage, field in PATHS
        for path in ("", "a\nb", SURROGATE)
    ),
    *(
        value("decoding", repr(name), "INVALID_REQUEST", request_id=name)
        for name in ("a/b", "..", "-a", "ü", "x" * 129)
    ),
    *(value("decoding", repr(name), "INVALID_REQUEST", correlation_id=name) for name in ("a/b", "-a", "x" * 129)),
    value("sampling", "no negative encoding", "INVALID_REQUEST", negative_encoding=None, cfg=2.5),
    value("sampling", "an unknown sampler", "INVALID_REQUEST", sampler_name="eulr"),
]
BAD = [*PICTURES, *TENSORS, *MODELS, *OUTPUTS, *PARAMETERS]
