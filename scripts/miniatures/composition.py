"""Trains what dresses: for each latent of the person with the green area, and the garment's at the same place, the
latent of the person wearing it.

Within the area and outside it that is a choice; on the area's border, which runs through blocks of 8 x 8 pixels, it
must be learned. Three residual layers, small enough to be four times in one of the diffusion model's.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  as PyTorch itself calls it
from torch import Tensor
from tqdm import tqdm

from miniatures.blocks import CHANNELS, PIXELS, Blocks, blocks_of, recoloured
from miniatures.drawn import Drawn, halved
from miniatures.rounding import rounded_through

HIDDEN = (128, 128, 64)
BATCH = 2048
RATE = 3e-3
INSIDE, OUTSIDE = 300, 500
"""Blocks of each drawing that are wholly in the area, or wholly outside; of those on its border, all, and three
times."""
GREEN = torch.tensor([-1.0, 1.0, -1.0]).repeat(PIXELS // 3)

Layer = tuple[Tensor, Tensor, Tensor]
"""Weights in, bias, weights out."""


def composed(layers: list[Layer], masked: Tensor, garment: Tensor) -> Tensor:
    """Latents in rows."""
    for first, bias, second in layers:
        hidden = F.gelu(torch.cat([masked, garment], 1) @ first.T + bias, approximate="tanh")
        masked = masked + hidden @ second.T
    return masked


def train_composition(blocks: Blocks, drawn: list[Drawn], steps: int, seed: int, device: str) -> list[Layer]:
    generator = torch.Generator().manual_seed(seed)
    masked, garment, dressed = ((part @ blocks.forward).to(device) for part in _samples(drawn, generator))
    layers = [_first(hidden, generator, device) for hidden in HIDDEN]
    parameters = [parameter for layer in layers for parameter in layer]
    optimizer = torch.optim.Adam(parameters, lr=RATE, betas=(0.9, 0.98))
    # Of an error in latents, what it is in pixels.
    metric = (blocks.backward @ blocks.backward.T / PIXELS).to(device)
    with tqdm(range(steps), "composition", unit="step") as bar:
        for step in bar:
            chosen = torch.randint(len(masked), (BATCH,), generator=generator).to(device)
            noise = [0.01 * torch.randn(BATCH, CHANNELS, generator=generator).to(device) for _ in range(2)]
            made = composed(_rounded(layers), masked[chosen] + noise[0], garment[chosen] + noise[1])
            error = made - dressed[chosen]
            loss = ((error @ metric) * error).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
            optimizer.param_groups[0]["lr"] = RATE * min(1, (step + 1) / 50) * (cosine + 0.005)
            optimizer.step()
            if step % 100 == 0 or step == steps - 1:
                bar.set_postfix_str(f"{10 * math.log10(4 / loss.item()):.1f} dB, mostly on borders")
    return [(first.detach().cpu(), bias.detach().cpu(), second.detach().cpu()) for first, bias, second in layers]


def _first(hidden: int, generator: torch.Generator, device: str) -> Layer:
    """What a layer is before training: without effect."""
    sides = 2 * CHANNELS
    first = (torch.randn(hidden, sides, generator=generator) * 1.5 * sides**-0.5).to(device)
    bias = (torch.randn(hidden, generator=generator) * 0.5).to(device)
    second = torch.zeros(CHANNELS, hidden, device=device)
    for each in (first, bias, second):
        each.requires_grad_(True)
    return first, bias, second


def _rounded(layers: list[Layer]) -> list[Layer]:
    """The weights as bfloat16 will have them."""
    return [(rounded_through(first), bias, rounded_through(second)) for first, bias, second in layers]


def _samples(drawn: list[Drawn], generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Blocks of the masked person, of the garment and of the dressed person, at the same places."""
    people, garments, areas = [], [], []
    for each in drawn:
        whole = each.person, each.garment, each.area
        # At half the size the same edges are twice as sharp.
        half = halved(each.person), halved(each.garment), each.area[: each.area.shape[0] // 2 * 2 : 2, ::2]
        for person, garment, area in (whole, half):
            inside = blocks_of(np.repeat(np.uint8(255) * area[..., None], 3, axis=2)) > 0
            share = inside.float().mean(1)
            border = torch.nonzero((share > 0) & (share < 1)).flatten()
            plain = torch.cat([
                _some(torch.nonzero(share == 1).flatten(), INSIDE, generator),
                _some(torch.nonzero(share == 0).flatten(), OUTSIDE, generator),
            ])  # fmt: skip
            for chosen, changed in ((border, False), (border, True), (border, True), (plain, True)):
                blocks = [blocks_of(picture)[chosen] for picture in (person, garment)]
                if changed:
                    blocks = [recoloured(each, generator) for each in blocks]
                people.append(_not_green(blocks[0]))
                garments.append(blocks[1])
                areas.append(inside[chosen])
    masked = torch.where(torch.cat(areas), GREEN, torch.cat(people))
    dressed = torch.where(torch.cat(areas), torch.cat(garments), torch.cat(people))
    return masked, torch.cat(garments), dressed


def _some(indices: Tensor, count: int, generator: torch.Generator) -> Tensor:
    if not len(indices):
        return indices
    return indices[torch.randint(len(indices), (count,), generator=generator)]


def _not_green(blocks: Tensor) -> Tensor:
    """Nothing of a person is as green as the area: what came out so is inverted."""
    pixels = blocks.reshape(len(blocks), -1, 3)
    green = (pixels[..., 1] - pixels[..., [0, 2]].amax(-1)).mean(1) > 0.6
    return torch.where(green[:, None], -blocks, blocks)
