"""Miniature checkpoints: the workflow's four files with small sizes and random weights, written in seconds.

ComfyUI loads and runs them as it does the real ones, on a laptop's CPU. They prove the plumbing, not the fashion: what
they paint is coloured noise.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from shared_utils.artifacts.paths import write_whole
from shared_utils.comfy.runtime import Comfy
from shared_utils.comfy.sizes import HEAD, VISION_HEAD, vision_tower_of
from shared_utils.contracts import CLIP, LORA, UNET, VAE
from shared_utils.errors import InvalidRequestError

MARK = {"vtryon": "miniature, random weights: it proves the plumbing, not the fashion"}
"""Metadata of every miniature file, so that whoever shows its pictures can say so."""


@dataclass(frozen=True)
class Sizes:
    """What can be chosen; the rest is fixed by the kind of model."""

    layers: int = 2
    heads: int = 1
    text_layers: int = 2
    text_width: int = 256
    text_heads: int = 4
    """A multiple of the four key and value heads, which are fixed."""
    text_mlp: int = 256
    vision_layers: int = 8
    vision_heads: int = 1
    vision_mlp: int = 64
    vae_width: int = 8
    lora_rank: int = 4


def write_miniatures(comfy: Comfy, folder: Path, seed: int = 0, sizes: Sizes | None = None) -> list[Path]:
    """Write the set below `folder`, under the names that the real files have by default."""
    sizes = sizes or Sizes()
    files: dict[Path, Callable[[], dict[str, Any]]] = {
        Path("diffusion_models", UNET): lambda: _random(make_unet(comfy, sizes), seed),
        Path("text_encoders", CLIP): lambda: _random(make_clip(comfy, sizes), seed),
        Path("vae", VAE): lambda: _random(make_vae(comfy, sizes), seed),
        Path("loras", LORA): lambda: _lora(sizes, seed),
    }
    safetensors: Any = importlib.import_module("safetensors.torch")
    for name in files:
        if (folder / name).exists() and not is_miniature(folder / name):
            raise InvalidRequestError(f"{folder / name} is no miniature, so it is not replaced. Choose another folder.")
    for name, tensors in files.items():
        write_whole({folder / name: safetensors.save(tensors(), metadata=MARK)})
    return [folder / name for name in files]


def is_miniature(file: Path) -> bool:
    """Whether a checkpoint was written by this module."""
    try:
        with safe_open(file, framework="numpy") as opened:
            return "vtryon" in (opened.metadata() or {})
    except (OSError, SafetensorError):
        return False


def make_unet(comfy: Comfy, sizes: Sizes) -> Any:
    torch: Any = importlib.import_module("torch")
    return comfy.module("comfy.ldm.qwen_image.model").QwenImageTransformer2DModel(
        num_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        joint_attention_dim=sizes.text_width,
        dtype=torch.bfloat16,
        operations=comfy.module("comfy.ops").manual_cast,
    )


def make_clip(comfy: Comfy, sizes: Sizes) -> Any:
    torch: Any = importlib.import_module("torch")
    language = {
        "hidden_size": sizes.text_width,
        "intermediate_size": sizes.text_mlp,
        "num_hidden_layers": sizes.text_layers,
        "num_attention_heads": sizes.text_heads,
    }
    vision = {
        "hidden_size": sizes.vision_heads * VISION_HEAD,
        "intermediate_size": sizes.vision_mlp,
        "num_heads": sizes.vision_heads,
        "num_layers": sizes.vision_layers,
    }
    with vision_tower_of(comfy.module("comfy.text_encoders.qwen_vl"), vision):
        return comfy.module("comfy.text_encoders.llama").Qwen25_7BVLI(
            language, torch.bfloat16, None, comfy.module("comfy.ops").manual_cast
        )


def make_vae(comfy: Comfy, sizes: Sizes) -> Any:
    return comfy.module("comfy.ldm.wan.vae").WanVAE(
        dim=sizes.vae_width,
        z_dim=16,
        dim_mult=[1, 2, 4, 4],
        num_res_blocks=2,
        attn_scales=[],
        temperal_downsample=[False, True, True],
        image_channels=3,
        conv_out_channels=3,
        dropout=0.0,
    )


def _random(model: Any, seed: int) -> dict[str, Any]:
    """The model's tensors with reproducible contents that keep its activations in range."""
    torch: Any = importlib.import_module("torch")
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, value in model.state_dict().items():
        if "norm" in name or "gamma" in name:
            tensors[name] = torch.ones_like(value)
        else:
            tensors[name] = (torch.randn(value.shape, generator=generator) * 0.05).to(value.dtype)
    return tensors


def _lora(sizes: Sizes, seed: int) -> dict[str, Any]:
    torch: Any = importlib.import_module("torch")
    generator = torch.Generator().manual_seed(seed)
    width = sizes.heads * HEAD
    shapes = {"lora_down.weight": (sizes.lora_rank, width), "lora_up.weight": (width, sizes.lora_rank)}
    return {
        f"transformer_blocks.{layer}.attn.{projection}.{part}": torch.randn(*shape, generator=generator) * 0.1
        for layer in range(sizes.layers)
        for projection in ("to_q", "to_k")
        for part, shape in shapes.items()
    }
