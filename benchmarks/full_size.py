"""Checkpoints with random weights and the sizes of the real ones, written as fast as the disk takes them.

The names, shapes and number types are those of the published files: the diffusion model in fp8, the text encoder in fp8
with a scale for each weight, the VAE in bf16, the LoRA in fp32. No more than one tensor is ever held in memory. What
they paint is noise; how long that takes is what is measured.
"""

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from shared_utils.comfy.miniature import MARK, Sizes, make_clip, make_unet, make_vae
from shared_utils.comfy.runtime import Comfy
from shared_utils.comfy.sizes import HEAD
from shared_utils.contracts import CLIP, LORA, UNET, VAE

FULL = Sizes(
    layers=60,
    heads=24,
    text_layers=28,
    text_width=3584,
    text_heads=28,
    text_mlp=18944,
    vision_layers=32,
    vision_heads=16,
    vision_mlp=3420,
    vae_width=96,
    lora_rank=64,
)
FP8 = torch.float8_e4m3fn
NAMES = {FP8: "F8_E4M3", torch.bfloat16: "BF16", torch.float32: "F32"}
"""As safetensors calls them."""
WORDS = 152064
"""That the text encoder knows, whatever its size."""
SPREAD = 0.5
"""Less than 1, so that activations do not grow from layer to layer."""
LORA_LAYERS = {
    **{f"attn.{name}": (1, 1) for name in ("to_q", "to_k", "to_v", "to_out.0")},
    **{f"attn.{name}": (1, 1) for name in ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")},
    **{f"{stream}_mlp.net.0.proj": (1, 4) for stream in ("img", "txt")},
    **{f"{stream}_mlp.net.2": (4, 1) for stream in ("img", "txt")},
}
"""What the published LoRA changes in each block: width in and out, in multiples of the model's."""


@dataclass(frozen=True)
class Entry:
    """One tensor of a file."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    value: float | None = None
    """Every number of it; None: random, by the width of what goes in."""

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def write_checkpoints(comfy: Comfy, folder: Path, sizes: Sizes, device: str) -> int:
    """All four, below `folder`, made on that device. Returns their bytes."""
    files = {
        Path("diffusion_models", UNET): list(_unet(comfy, sizes)),
        Path("text_encoders", CLIP): list(_clip(comfy, sizes)),
        Path("vae", VAE): list(_vae(comfy, sizes)),
        Path("loras", LORA): list(_lora(sizes)),
    }
    total = sum(entry.size for entries in files.values() for entry in entries)
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < total:
        raise RuntimeError(f"{folder} has room for {free / 1e9:.1f} GB; the checkpoints take {total / 1e9:.1f}.")
    generator = torch.Generator(device).manual_seed(0)
    for name, entries in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("wb") as file:
            _write(file, entries, generator)
    return total


def _state(model: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, value in model.state_dict().items():
        yield name, tuple(value.shape)


def _plain(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Entry:
    if "norm" in name or "gamma" in name:
        return Entry(name, shape, dtype, 1.0)
    return Entry(name, shape, dtype, 0.0 if name.endswith("bias") else None)


def _unet(comfy: Comfy, sizes: Sizes) -> Iterator[Entry]:
    """Weights in fp8 as they are; what is small, in bf16."""
    with torch.device("meta"):
        model = make_unet(comfy, sizes)
    for name, shape in _state(model):
        yield _plain(name, shape, FP8 if len(shape) == 2 else torch.bfloat16)


def _clip(comfy: Comfy, sizes: Sizes) -> Iterator[Entry]:
    """Weights of linear layers in fp8, each with its scale; the embedding and what is small in bf16."""
    with torch.device("meta"):
        model = make_clip(comfy, sizes)
    yield Entry("scaled_fp8", (0,), FP8)
    yield Entry("lm_head.weight", (WORDS, sizes.text_width), torch.bfloat16)  # in the file, though nothing reads it
    for name, shape in _state(model):
        scaled = len(shape) == 2 and name.endswith(".weight") and "embed" not in name
        yield _plain(name, shape, FP8 if scaled else torch.bfloat16)
        if scaled:
            yield Entry(name.removesuffix("weight") + "scale_weight", (), torch.float32, 1.0)


def _vae(comfy: Comfy, sizes: Sizes) -> Iterator[Entry]:
    with torch.device("meta"):
        model = make_vae(comfy, sizes)
    for name, shape in _state(model):
        yield _plain(name, shape, torch.bfloat16)


def _lora(sizes: Sizes) -> Iterator[Entry]:
    width = sizes.heads * HEAD
    for block in range(sizes.layers):
        for layer, (into, out) in LORA_LAYERS.items():
            name = f"transformer_blocks.{block}.{layer}"
            yield Entry(f"{name}.lora_down.weight", (sizes.lora_rank, into * width), torch.float32)
            yield Entry(f"{name}.lora_up.weight", (out * width, sizes.lora_rank), torch.float32)


def _write(file: BinaryIO, entries: list[Entry], generator: torch.Generator) -> None:
    """The format of safetensors: the length of the header, the header, and the tensors in its order."""
    header: dict[str, Any] = {"__metadata__": MARK}
    end = 0
    for entry in entries:
        begin, end = end, end + entry.size
        header[entry.name] = {"dtype": NAMES[entry.dtype], "shape": entry.shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for entry in entries:
        if entry.size:
            file.write(_tensor(entry, generator).view(torch.uint8).cpu().numpy().tobytes())


def _tensor(entry: Entry, generator: torch.Generator) -> torch.Tensor:
    if entry.value is not None:
        return torch.full((max(1, math.prod(entry.shape)),), entry.value, dtype=entry.dtype)
    inputs = math.prod(entry.shape[1:]) or 1
    random = torch.randn(math.prod(entry.shape), generator=generator, device=generator.device)
    return (random * (SPREAD / math.sqrt(inputs))).to(entry.dtype)
