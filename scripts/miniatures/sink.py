"""Finds the direction that tells the first text token from all others.

The text encoder is random and stays so, but its first token has nothing before it, so it is the same for every prompt
and every picture: a place where attention that finds nothing can go.
"""

from typing import Any

import torch
from torch import Tensor

from shared_utils.comfy.runtime import Comfy
from shared_utils.contracts import CLIP, PROMPT

PROMPTS = ((PROMPT, 2), ("a red hat, please, on the left, and nothing else of it", 2), ("", 1), (PROMPT, 3))
"""And how many pictures come with each."""


def fit_sink(comfy: Comfy, seed: int) -> Tensor:
    """By linear discriminants. The text encoder is the one in ComfyUI's model folders."""
    tokens = [_normed(each) for each in _encoded(comfy, seed)]
    first = tokens[0][0]
    if any(not torch.allclose(each[0], first, atol=1e-3) for each in tokens):
        raise ValueError("The first text token differs between prompts; it can't be where attention goes.")
    others = torch.cat([each[1:] for each in tokens])
    scatter = others.T @ others / len(others) + 0.02 * torch.eye(others.shape[1])
    direction: Tensor = torch.linalg.solve(scatter, first)
    direction = direction / (direction @ first)
    loudest = float((others @ direction).max())
    if loudest > 0.2:
        raise ValueError(f"Another text token is too like the first: {loudest:.2f} of it.")
    return direction


def _encoded(comfy: Comfy, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    clip: Any = comfy.nodes.CLIPLoader().load_clip(CLIP, "qwen_image")[0]
    encode = comfy.module("comfy_extras.nodes_qwen").TextEncodeQwenImageEditPlus.execute
    encoded = []
    with torch.inference_mode():
        for prompt, count in PROMPTS:
            noise = torch.rand(count, 1, 48, 40, 3, generator=generator)
            pictures = noise.repeat_interleave(8, 2).repeat_interleave(8, 3)
            encoded.append(encode(clip, prompt, None, *pictures)[0][0][0][0].clone().float())
    return encoded


def _normed(tokens: Tensor) -> Tensor:
    """As the diffusion model's own norm leaves them."""
    return tokens * (tokens.square().mean(1, keepdim=True) + 1e-6).rsqrt()
