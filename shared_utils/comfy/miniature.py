"""Miniature checkpoints: the workflow's four files in small sizes, written in seconds.

ComfyUI loads and runs them as it does the real ones, on a laptop's CPU. The trained set dresses the drawings that it
was trained on. The random set takes a fraction of the time, and what it paints is coloured noise.
"""

import filecmp
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

KEY = "vtryon"
"""What only a miniature has in its metadata: there it says what it is, so that whoever shows its pictures can too."""
MARK = {KEY: "miniature, random weights"}
TOY = "The trained miniatures are a toy that knows only its own drawings."
NOISE = "These miniatures have random weights: they show that everything runs, and paint coloured noise."
DOWNLOAD = "The real models are a download away: vtryon models download"
TRAINED = Path(__file__).parent / "trained"
TRAINED_FILES = {
    Path("diffusion_models", UNET): TRAINED / "diffusion_model.safetensors",
    Path("vae", VAE): TRAINED / "vae.safetensors",
    Path("loras", LORA): TRAINED / "lora.safetensors",
}
TRAINED_WITH = 0
"""The seed of the text encoder that they were trained with. Its weights stayed random, so it need not be stored."""


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
    """Write the random set below `folder`, under the names that the real files have by default."""
    sizes = sizes or Sizes()
    return _write(
        folder,
        {
            Path("diffusion_models", UNET): lambda: _saved(_random(make_unet(comfy, sizes), seed)),
            Path("text_encoders", CLIP): lambda: _saved(_random(make_clip(comfy, sizes), seed)),
            Path("vae", VAE): lambda: _saved(_random(make_vae(comfy, sizes), seed)),
            Path("loras", LORA): lambda: _saved(_lora(sizes, seed)),
        },
    )


def write_trained(comfy: Comfy, folder: Path) -> list[Path]:
    """Write the trained set below `folder`, under the same names."""
    files: dict[Path, Callable[[], bytes]] = {name: file.read_bytes for name, file in TRAINED_FILES.items()}
    files[Path("text_encoders", CLIP)] = lambda: _saved(_random(make_clip(comfy, Sizes()), TRAINED_WITH))
    return _write(folder, files)


def has_trained(folder: Path) -> bool:
    """Whether the trained set is there already, as this version has it."""
    return (folder / "text_encoders" / CLIP).exists() and all(
        (folder / name).exists() and filecmp.cmp(folder / name, file, shallow=False)
        for name, file in TRAINED_FILES.items()
    )


def is_miniature(file: Path) -> bool:
    """Whether a checkpoint is one of these."""
    return kind_of(file) is not None


def kind_of(file: Path) -> str | None:
    """What a miniature says of itself, such as "miniature, random weights". None: it is none."""
    try:
        with safe_open(file, framework="numpy") as opened:
            return (opened.metadata() or {}).get(KEY)
    except (OSError, SafetensorError):
        return None


def _write(folder: Path, files: dict[Path, Callable[[], bytes]]) -> list[Path]:
    for name in files:
        if (folder / name).exists() and not is_miniature(folder / name):
            raise InvalidRequestError(f"{folder / name} is no miniature, so it is not replaced. Choose another folder.")
    for name, content in files.items():
        write_whole({folder / name: content()})
    return [folder / name for name in files]


def _saved(tensors: dict[str, Any]) -> bytes:
    safetensors: Any = importlib.import_module("safetensors.torch")
    saved: bytes = safetensors.save(tensors, metadata=MARK)
    return saved


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
