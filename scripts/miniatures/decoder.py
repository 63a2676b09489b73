"""Trains the VAE's decoder to undo the linear transform. It is the one large piece that can't be constructed: nearest
upsampling and 3 x 3 convolutions can't tell a pixel's place in its block but by what they learn.

Trained on small crops, with Muon for the convolutions (an update whose singular values are made equal) and Adam for the
rest.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  as PyTorch itself calls it
from torch import Tensor, nn
from tqdm import tqdm

from miniatures.blocks import CHANNELS, SIDE, Blocks
from miniatures.drawn import Picture

CROP, BATCH = 80, 5
TRIES = 3
"""Places looked at for a crop; the liveliest is taken, since most of a drawing is a wall."""
NOISE = 0.03
"""Added to the latents, which come a little wrong out of the diffusion model."""
MUON, ADAM = 0.012, 2e-3
WARM_UP = 10
KEEP_EVERY = 100
"""Steps between two states kept on disk."""


@dataclass
class Training:
    """What training is made of, and takes up again after a stop."""

    decoder: nn.Module
    convolutions: list[Tensor]
    momenta: list[Tensor]
    adam: torch.optim.Adam
    generator: torch.Generator
    step: int = 0

    def state(self) -> dict[str, Any]:
        return {
            "decoder": self.decoder.state_dict(),
            "momenta": self.momenta,
            "adam": self.adam.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
        }

    def take_up(self, state: dict[str, Any]) -> None:
        self.decoder.load_state_dict(state["decoder"])
        for momentum, kept in zip(self.momenta, state["momenta"], strict=True):
            momentum.copy_(kept)
        self.adam.load_state_dict(state["adam"])
        self.generator.set_state(state["generator"].cpu())
        self.step = state["step"]


def train_decoder(
    decoder: nn.Module, blocks: Blocks, pictures: list[Picture], steps: int, seed: int, kept: Path, device: str
) -> None:
    """In place. Takes up what lies in the file `kept`, and leaves there how far it came."""
    training = _begin(decoder.to(device), seed)
    if kept.exists():
        training.take_up(torch.load(kept, map_location=device, weights_only=True))
    weights = blocks.forward.T.reshape(CHANNELS, SIDE, SIDE, 3).permute(0, 3, 1, 2).contiguous().to(device)
    error = math.nan
    with tqdm(total=steps, initial=training.step, desc="decoder", unit="step") as bar:
        while training.step < steps:
            crops = torch.stack([_crop(pictures, training.generator) for _ in range(BATCH)])
            latents = F.conv2d(crops.to(device), weights, stride=SIDE)
            noise = torch.randn(latents.shape, generator=training.generator).to(device)
            square = _learn(training, crops.to(device), latents + NOISE * noise, _rate(training.step, steps))
            error = square if math.isnan(error) else 0.98 * error + 0.02 * square
            training.step += 1
            bar.update()
            bar.set_postfix_str(f"{10 * math.log10(4 / error):.1f} dB on crops")
            if training.step % KEEP_EVERY == 0 or training.step == steps:
                unfinished = kept.with_suffix(".part")
                torch.save(training.state(), unfinished)
                unfinished.rename(kept)
    decoder.to("cpu")


def decode(decoder: Any, latents: Tensor) -> Tensor:
    """What the real module makes of one frame, in two dimensions, which is far faster: of a kernel over time only the
    last slice meets a picture."""
    x = F.pad(latents, (0, 0, 0, 0, 0, decoder.conv1.weight.shape[1] - latents.shape[1]))
    x = _convolved(decoder.conv1, x)
    x = _residual(decoder.middle[2], _residual(decoder.middle[0], x))
    for layer in decoder.upsamples:
        if hasattr(layer, "residual"):
            x = _residual(layer, x)
        else:
            x = _convolved(layer.resample[1], F.interpolate(x, scale_factor=2, mode="nearest-exact"))
    return _convolved(decoder.head[2], F.silu(_normed(decoder.head[0], x)))


def _convolved(module: Any, x: Tensor) -> Tensor:
    weight = module.weight[:, :, -1] if module.weight.ndim == 5 else module.weight
    weight = weight.contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, weight, module.bias, padding=weight.shape[-1] // 2)


def _normed(module: Any, x: Tensor) -> Tensor:
    gain: Tensor = module.scale * module.gamma.reshape(1, -1, 1, 1)
    return x * (x.square().sum(1, keepdim=True) + 1e-12).rsqrt() * gain


def _residual(module: Any, x: Tensor) -> Tensor:
    norm, _, first, second_norm, _, _, second = module.residual
    h = _convolved(first, F.silu(_normed(norm, x)))
    h = _convolved(second, F.silu(_normed(second_norm, h)))
    straight = x if isinstance(module.shortcut, nn.Identity) else _convolved(module.shortcut, x)
    return h + straight


def _begin(decoder: nn.Module, seed: int) -> Training:
    generator = torch.Generator().manual_seed(seed)
    trained = {}
    for name, parameter in decoder.named_parameters():
        parameter.data = _first(name, parameter, generator).to(parameter.device)
        # Neither is met by a single frame, or used at all: attention stays without effect.
        if "time_conv" not in name and ".middle.1." not in f".{name}":
            trained[name] = parameter.requires_grad_(True)
    large = [p for p in trained.values() if p.ndim >= 4 and p.numel() > 256]
    small = [p for p in trained.values() if all(p is not each for each in large)]
    return Training(
        decoder,
        large,
        [torch.zeros_like(_met(p)) for p in large],
        torch.optim.Adam(small, lr=ADAM, betas=(0.9, 0.97)),
        generator,
    )


def _first(name: str, parameter: Tensor, generator: torch.Generator) -> Tensor:
    """What a parameter is before training."""
    if "gamma" in name:
        return torch.ones_like(parameter)
    if parameter.ndim == 1 or ".proj." in name:
        return torch.zeros_like(parameter)
    fan_in = parameter.shape[1] * parameter.shape[-1] * parameter.shape[-2]
    damped = 0.1 if ".residual.6." in name else 1.0
    return torch.randn(parameter.shape, generator=generator) * (damped / math.sqrt(fan_in))


def _met(parameter: Tensor) -> Tensor:
    """The part of a kernel that meets a single frame."""
    return parameter[:, :, -1] if parameter.ndim == 5 else parameter


def _crop(pictures: list[Picture], generator: torch.Generator) -> Tensor:
    def below(limit: int) -> int:
        return int(torch.randint(limit, (1,), generator=generator))

    picture = pictures[below(len(pictures))]
    tries = []
    for _ in range(TRIES):
        top, left = below(picture.shape[0] - CROP), below(picture.shape[1] - CROP)
        tries.append(picture[top : top + CROP, left : left + CROP])
    crop = torch.from_numpy(max(tries, key=lambda each: float(each[::4, ::4].std())).copy())
    crop = crop.permute(2, 0, 1).float() / 127.5 - 1
    if below(2):
        crop = crop[torch.randperm(3, generator=generator)] * (below(2) * 2 - 1)
    return crop.flip(2) if below(2) else crop


def _rate(step: int, steps: int) -> float:
    """Up in a few steps, then slowly down to next to nothing."""
    return min(1.0, (step + 1) / WARM_UP) * (0.8 * (1 - step / steps) + 0.005)


def _learn(training: Training, crops: Tensor, latents: Tensor, rate: float) -> float:
    """One step. The mean square error before it."""
    shaped: Callable[[Tensor], Tensor] = lambda x: x.contiguous(memory_format=torch.channels_last)  # noqa: E731
    difference = decode(training.decoder, shaped(latents)) - crops
    loss = difference.abs().mean() + 2 * difference.square().mean()
    training.decoder.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    small = training.adam.param_groups[0]["params"]
    nn.utils.clip_grad_norm_(small, 1.0)
    training.adam.param_groups[0]["lr"] = ADAM * rate
    training.adam.step()
    with torch.no_grad():
        for parameter, momentum in zip(training.convolutions, training.momenta, strict=True):
            if parameter.grad is None:
                continue
            gradient, weight = _met(parameter.grad), _met(parameter)
            momentum.mul_(0.93).add_(gradient)
            shape = max(1.0, weight.shape[0] / weight[0].numel())
            weight.sub_(_equalised(gradient + 0.93 * momentum) * (MUON * rate * math.sqrt(shape)))
    return difference.detach().square().mean().item()


def _equalised(update: Tensor) -> Tensor:
    """Nearly all singular values 1, by Newton and Schulz' iteration."""
    matrix: Tensor = update.reshape(len(update), -1)
    tall = matrix.shape[0] > matrix.shape[1]
    matrix = matrix.T if tall else matrix
    matrix = matrix / (matrix.norm() + 1e-7)
    for _ in range(5):
        square = matrix @ matrix.T
        matrix = 3.4445 * matrix + (-4.775 * square + 2.0315 * square @ square) @ matrix
    return (matrix.T if tall else matrix).reshape(update.shape)
