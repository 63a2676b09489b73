"""Tensors in `.pt` files: read without ever running what is in them, written whole.

A latent is `{"samples": tensor}` or a tensor; a conditioning is ComfyUI's list of `[tensor, metadata]`, one such pair,
or a tensor. The metadata holds `reference_latents`: without them the model never sees the garment.
"""

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from shared_utils.artifacts.paths import allowed
from shared_utils.errors import InputTensorInvalidError, InputTensorNotFoundError, failing_as
from shared_utils.settings import Settings

Latent = dict[str, Any]
Conditioning = list[list[Any]]

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
MAX_LATENT_AREA = round(16 * 1024 * 1024 / 64 * 1.01)
"""Height times width of the latent of a 16 megapixel picture, the most a picture is scaled to; 1 % for rounding."""
MAX_PAIRS = 16
"""Of a conditioning. The text encoder makes one; ComfyUI's nodes that combine conditionings make a few."""


def tensor_file(value: Any) -> bytes:
    """The content of a `.pt` file with tensors, or lists and dicts of them."""
    buffer = BytesIO()
    torch.save(_compact(value), buffer)
    return buffer.getvalue()


def as_tensor(content: bytes) -> torch.Tensor:
    """The bytes of a file, to lie among tensors."""
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def as_bytes(tensor: torch.Tensor) -> bytes:
    return tensor.numpy().tobytes()


def metadata_file(result: Path, metadata: BaseModel, settings: Settings) -> dict[Path, bytes]:
    """The file with the metadata beside a result's, or none if the settings say so."""
    beside = result.with_name(f"{result.name}.json")
    return {beside: metadata.model_dump_json(indent=2).encode()} if settings.save_metadata else {}


def _compact(value: Any) -> Any:
    """Copies without what else lies in a tensor's memory: a slice would be saved with the whole it was cut from."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {name: _compact(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_compact(entry) for entry in value]
    return value


def read_latent(path: str | Path, settings: Settings) -> Latent:
    return as_latent(_read(path, settings), str(path))


def read_conditioning(path: str | Path, settings: Settings) -> Conditioning:
    return as_conditioning(_read(path, settings), str(path))


def as_latent(value: Any, name: str) -> Latent:
    """The latent in any form it may come in, as the sampler and the VAE want it. What else a dict holds is left out."""
    if isinstance(value, dict) and "samples" not in value:
        raise InputTensorInvalidError(f'{name} is no latent: it holds a dict without "samples".')
    samples = value["samples"] if isinstance(value, dict) else value
    _check_latent(samples, name)
    return {"samples": samples}


def as_conditioning(value: Any, name: str) -> Conditioning:
    """The conditioning in any form it may come in, as ComfyUI's list."""
    if isinstance(value, torch.Tensor):
        pairs = [[value, {}]]
    elif isinstance(value, list | tuple) and value and isinstance(value[0], torch.Tensor):
        pairs = [list(value)]
    elif isinstance(value, list | tuple) and value and all(isinstance(pair, list | tuple) for pair in value):
        pairs = [list(pair) for pair in value]
    else:
        raise InputTensorInvalidError(
            f"{name} is no conditioning: expected a tensor, [tensor, metadata], or a list of such pairs."
        )
    if len(pairs) > MAX_PAIRS:
        raise InputTensorInvalidError(f"{name} has {len(pairs)} entries, more than the {MAX_PAIRS} that are sampled.")
    for pair in pairs:
        _check_pair(pair, name)
    return pairs


def _read(path: str | Path, settings: Settings) -> Any:
    file = allowed(path, settings)
    with failing_as(InputTensorInvalidError, f"reading {path}"):
        try:
            if not file.is_file():
                raise InputTensorNotFoundError(f"Tensor file not found: {path}")
            _check_archive(file, path, settings)
        except OSError as denied:
            raise InputTensorNotFoundError(f"Can't read {path}: {denied.strerror}.") from denied
        return torch.load(file, map_location="cpu", weights_only=True)


def _check_archive(file: Path, path: str | Path, settings: Settings) -> None:
    """Bounds before content: entries that are compressed, or lie on top of each other, could unpack to any size."""
    size = file.stat().st_size
    if size > settings.max_file_mb * 1e6:
        raise InputTensorInvalidError(f"{path} is larger than {settings.max_file_mb:g} MB (MAX_FILE_MB).")
    if not zipfile.is_zipfile(file):
        raise InputTensorInvalidError(f"{path} is no file that torch.save wrote, or it is cut off.")
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise InputTensorInvalidError(f"{path} has compressed entries, which torch.save does not write.")
    if sum(entry.file_size for entry in entries) > size:
        raise InputTensorInvalidError(f"{path} claims to hold more than its size.")
    if any(entry.filename.endswith("/constants.pkl") for entry in entries):
        raise InputTensorInvalidError(f"{path} is a TorchScript program. Nothing of it was run.")


def _check_pair(pair: list[Any], name: str) -> None:
    if len(pair) != 2 or not isinstance(pair[1], dict):
        raise InputTensorInvalidError(f"{name} is no conditioning: an entry is not [tensor, metadata].")
    tensor, metadata = pair
    _check_tensor(tensor, name)
    if tensor.ndim != 3:
        raise InputTensorInvalidError(
            f"{name} is no conditioning: its tensor has shape {list(tensor.shape)}, not [batch, tokens, width]."
        )
    references = metadata.get("reference_latents", [])
    if not isinstance(references, list | tuple):
        raise InputTensorInvalidError(f"{name} is no conditioning: its reference_latents are not a list.")
    area = 0
    for number, reference in enumerate(references, start=1):
        _check_latent(reference, f"reference latent {number} in {name}")
        area += reference.shape[-1] * reference.shape[-2]
        if area > MAX_LATENT_AREA:  # the sampler looks at all of them at once
            raise InputTensorInvalidError(f"{name} has reference latents of more than 16 megapixels together.")


def _check_latent(tensor: Any, name: str) -> None:
    _check_tensor(tensor, name)
    shape = list(tensor.shape)
    one_picture = shape[0] == 1 and (tensor.ndim == 4 or (tensor.ndim == 5 and shape[2] == 1))
    if not one_picture:
        raise InputTensorInvalidError(
            f"{name} is no latent of one picture: its shape is {shape}, "
            "not [1, channels, height, width] or [1, channels, 1, height, width]."
        )
    if shape[-1] * shape[-2] > MAX_LATENT_AREA:
        raise InputTensorInvalidError(f"{name} has shape {shape}: more than the latent of a 16 megapixel picture.")


def _check_tensor(tensor: Any, name: str) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise InputTensorInvalidError(f"{name} holds a {type(tensor).__name__} where a tensor should be.")
    if tensor.layout != torch.strided or tensor.is_meta or tensor.dtype not in DTYPES:
        raise InputTensorInvalidError(f"{name} holds a tensor that is not made of plain floating point numbers.")
    if tensor.ndim == 0 or 0 in tensor.shape:
        raise InputTensorInvalidError(f"{name} holds an empty tensor of shape {list(tensor.shape)}.")
    if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        raise InputTensorInvalidError(f"{name} claims shape {list(tensor.shape)} but holds fewer numbers than that.")
    if not bool(torch.isfinite(tensor).all()):
        raise InputTensorInvalidError(f"{name} holds numbers that are not finite.")
