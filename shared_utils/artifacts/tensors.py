"""Tensors in `.pt` files: read without ever running what is in them, written whole.

A latent is `{"samples": tensor}` or a tensor; a conditioning is ComfyUI's list of `[tensor, metadata]`, one such pair,
or a tensor. The metadata holds `reference_latents`: without them the model never sees the garment.
"""

import zipfile
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from pydantic import BaseModel

from shared_utils.artifacts.paths import allowed, write_whole
from shared_utils.errors import InputTensorInvalidError, InputTensorNotFoundError, failing_as
from shared_utils.settings import Settings

Latent = dict[str, Any]
Conditioning = list[list[Any]]

MAX_LATENT_AREA = 16 * 1024 * 1024 // 64
"""Height times width of the latent of a 16 megapixel picture, the most that a picture is scaled to."""


def write_tensor(target: Path, value: Any) -> None:
    """Save tensors, or lists and dicts of them, on the CPU."""
    buffer = BytesIO()
    torch.save(_compact(value), buffer)
    write_whole(target, buffer.getvalue())


def write_metadata(tensor: Path, metadata: BaseModel, settings: Settings) -> None:
    """The metadata as JSON beside the tensor's file, unless the settings say no."""
    if settings.save_metadata:
        write_whole(tensor.with_name(f"{tensor.name}.json"), metadata.model_dump_json(indent=2).encode())


def _compact(value: Any) -> Any:
    """Copies without what else lies in a tensor's memory: a slice would be saved with the whole it was cut from."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {name: _compact(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_compact(entry) for entry in value]
    return value


def read_latent(path: str, settings: Settings) -> Latent:
    return as_latent(_read(path, settings), path)


def read_conditioning(path: str, settings: Settings) -> Conditioning:
    return as_conditioning(_read(path, settings), path)


def as_latent(value: Any, name: str) -> Latent:
    """The latent in any form it may come in, as the sampler and the VAE want it."""
    latent = value if isinstance(value, dict) else {"samples": value}
    if "samples" not in latent:
        raise InputTensorInvalidError(f'{name} is no latent: it holds a dict without "samples".')
    _check_latent(latent["samples"], name)
    return latent


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
    for pair in pairs:
        _check_pair(pair, name)
    return pairs


def _read(path: str, settings: Settings) -> Any:
    file = allowed(path, settings)
    if not file.is_file():
        raise InputTensorNotFoundError(f"Tensor file not found: {path}")
    with failing_as(InputTensorInvalidError, f"reading {path}"):
        _check_archive(file, path, settings)
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except UnpicklingError:
            raise InputTensorInvalidError(
                f"{path} holds something other than tensors, lists and dicts. Nothing of it was run."
            ) from None


def _check_archive(file: Path, path: str, settings: Settings) -> None:
    """Bounds before content: a compressed entry could unpack to any size."""
    if file.stat().st_size > settings.max_file_mb * 1e6:
        raise InputTensorInvalidError(f"{path} is larger than {settings.max_file_mb:g} MB (MAX_FILE_MB).")
    if not zipfile.is_zipfile(file):
        raise InputTensorInvalidError(f"{path} is no file that torch.save wrote, or it is cut off.")
    with zipfile.ZipFile(file) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise InputTensorInvalidError(f"{path} has compressed entries, which torch.save does not write.")


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
    for number, reference in enumerate(references, start=1):
        _check_latent(reference, f"reference latent {number} in {name}")


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
    if tensor.layout != torch.strided or tensor.is_meta or not tensor.is_floating_point():
        raise InputTensorInvalidError(f"{name} holds a tensor that is not made of plain floating point numbers.")
    if tensor.ndim == 0 or 0 in tensor.shape:
        raise InputTensorInvalidError(f"{name} holds an empty tensor of shape {list(tensor.shape)}.")
    if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        raise InputTensorInvalidError(f"{name} claims shape {list(tensor.shape)} but holds fewer numbers than that.")
    if not bool(torch.isfinite(tensor).all()):
        raise InputTensorInvalidError(f"{name} holds numbers that are not finite.")
