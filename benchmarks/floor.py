"""How little time a stage could take: its operations at the measured rate, or its weights read once, whichever is more.

Operations are those of the matrix products and convolutions; a multiplication and an addition are two. What lies
between them, norms and activations, is left out: nothing is quite as fast.
"""

import math
from dataclasses import dataclass

import torch
from rates import Rates
from torch.utils.flop_counter import FlopCounterMode

from shared_utils.comfy.miniature import Sizes, make_vae
from shared_utils.comfy.runtime import Comfy
from shared_utils.comfy.sizes import HEAD, VISION_HEAD

REFERENCE_PIXELS = 1024 * 1024
"""The text encoder makes a reference latent of about so many of every picture, whatever size was asked for."""
VISION_PIXELS = 384 * 384
"""It looks at every picture at this size."""
VISION_PATCH, MERGED = 14, 2
WORDS = 64
"""About what the default prompt and what ComfyUI puts around it come to."""
KEY_VALUE_HEADS = 4


@dataclass(frozen=True)
class Work:
    """Of one stage."""

    operations: float
    weight_bytes: float

    def seconds(self, rates: Rates) -> float:
        return max(self.operations / rates.operations, self.weight_bytes / rates.device_bytes)


def latent_tokens(pixels: float) -> int:
    """The VAE shrinks by 8, and the diffusion model looks at patches of 2 x 2."""
    return round(pixels / 16**2)


def vision_tokens(pictures: int) -> int:
    return pictures * (math.isqrt(VISION_PIXELS) // VISION_PATCH) ** 2


def text_tokens(pictures: int) -> int:
    """What the text encoder reads: words, and each picture after its patches were merged."""
    return WORDS + vision_tokens(pictures) // MERGED**2


def sampler_step(sizes: Sizes, pixels: float, pictures: int = 2) -> Work:
    """One pass through the diffusion model: the latent, a reference of each picture, and the text."""
    width = sizes.heads * HEAD
    tokens = latent_tokens(pixels) + pictures * latent_tokens(REFERENCE_PIXELS) + text_tokens(pictures)
    linear = 12 * width**2  # four projections, and two layers of four times the width
    attention = 4 * tokens**2 * width
    # Beside those, each of the two streams has six times the width squared that only the time step goes through.
    return Work(sizes.layers * (2 * tokens * linear + attention), sizes.layers * 2 * (linear + 6 * width**2))


def text_encoding(sizes: Sizes, pictures: int = 2) -> Work:
    """The vision tower over every picture, and the language model over what comes of it."""
    vision = vision_tokens(pictures)
    vision_width = sizes.vision_heads * VISION_HEAD
    vision_weights = sizes.vision_layers * (4 * vision_width**2 + 3 * vision_width * sizes.vision_mlp)
    text = text_tokens(pictures)
    keys = 2 * KEY_VALUE_HEADS * HEAD
    weights = sizes.text_layers * sizes.text_width * (2 * sizes.text_width + keys + 3 * sizes.text_mlp)
    attention = 4 * text**2 * sizes.text_width * sizes.text_layers
    return Work(2 * (vision * vision_weights + text * weights) + attention, vision_weights + weights)


def vae(comfy: Comfy, sizes: Sizes, pixels: float) -> tuple[Work, Work]:
    """One picture in, one latent out: counted on tensors without contents."""
    attention = comfy.module("comfy.ldm.modules.diffusionmodules.model").pytorch_attention
    side = max(16, round(math.sqrt(pixels) / 16) * 16)
    with torch.device("meta"), torch.no_grad():
        model = make_vae(comfy, sizes).eval()
        for module in model.modules():
            if hasattr(module, "optimized_attention"):
                module.optimized_attention = attention  # others look at the free memory, and here is none
        weights = sum(value.numel() for value in model.parameters()) * 2
        picture, latent = torch.empty(1, 3, 1, side, side), torch.empty(1, 16, 1, side // 8, side // 8)
        with FlopCounterMode(display=False) as encoding:
            model.encode(picture)
        with FlopCounterMode(display=False) as decoding:
            model.decode(latent)
    # Each half has about half of the weights.
    return Work(encoding.get_total_flops(), weights / 2), Work(decoding.get_total_flops(), weights / 2)


def try_on(comfy: Comfy, sizes: Sizes, pixels: float, steps: int) -> dict[str, Work]:
    """By stage, with nothing done twice and nothing known beforehand: three pictures through the VAE."""
    encode, decode = vae(comfy, sizes, pixels)
    reference, _ = vae(comfy, sizes, REFERENCE_PIXELS)
    text, step = text_encoding(sizes), sampler_step(sizes, pixels)
    return {
        "latent_encoder": encode,
        "text_encoder": Work(text.operations + 2 * reference.operations, text.weight_bytes + reference.weight_bytes),
        "sampling": Work(steps * step.operations, steps * step.weight_bytes),
        "decoding": decode,
    }
