"""Lays what the diffusion model knows of time: 1/sigma, by which it divides what is left to do, and how early it is.

A model of this kind is told sigma by a sinusoidal embedding and two small layers; what the blocks and the last norm
get of it is linear in these layers' output. The first layer is laid as 126 soft thresholds on one slow sine, the
second leaves it as it is; the two functions of sigma are then fitted by least squares.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import silu

from miniatures.rounding import rounded, solved_rounded

WIDTH, FREQUENCIES = 128, 128
SLOW = 100
"""The frequency whose sine rises with sigma all the way from 0 to 1."""
LEAST = 0.02
"""The smallest sigma at which 1/sigma is fitted; four steps go down to 0.5."""
FEW_STEPS = (1.0, 0.9, 0.75, 0.5)
"""The sigmas of the workflow's four steps, for which the fit is closest."""
SHARP_BELOW = 0.33


@dataclass(frozen=True)
class Clock:
    first: tuple[Tensor, Tensor]
    """Weight and bias of the embedder's first layer."""
    second: tuple[Tensor, Tensor]
    inverse: Tensor
    """1/sigma from the second layer's output after its activation; the last number is the bias."""
    early: Tensor
    """1 while sigma is above SHARP_BELOW, then 0; likewise."""

    def read(self, sigmas: Tensor, weights: Tensor) -> Tensor:
        return self._features(sigmas) @ weights[:-1] + weights[-1]

    def _features(self, sigmas: Tensor) -> Tensor:
        angles = 1000 * sigmas[:, None] * torch.exp(-math.log(10000) * torch.arange(FREQUENCIES) / FREQUENCIES)
        embedded = torch.cat([angles.cos(), angles.sin()], 1)
        hidden = silu(embedded @ self.first[0].T + self.first[1])
        return silu(hidden @ self.second[0].T + self.second[1])


def fit_clock() -> Clock:
    first, bias = torch.zeros(WIDTH, 2 * FREQUENCIES), torch.zeros(WIDTH)
    thresholds = torch.logspace(math.log10(0.012), 0, WIDTH - 2)
    first[:-2, FREQUENCIES + SLOW] = 6 / (0.6 * thresholds).clamp_min(0.01)
    first = rounded(first)
    bias[:-2] = -first[:-2, FREQUENCIES + SLOW] * (1000 * thresholds * 10000 ** (-SLOW / FREQUENCIES)).sin()
    first[-2, FREQUENCIES + SLOW], bias[-1] = 4, 1
    bare = Clock((first, rounded(bias)), (torch.eye(WIDTH) / 8, torch.zeros(WIDTH)), torch.empty(0), torch.empty(0))

    sigmas = torch.cat([torch.logspace(math.log10(LEAST), 0, 600), torch.tensor(FEW_STEPS).repeat(40)])
    features = torch.cat([bare._features(sigmas), torch.ones(len(sigmas), 1)], 1)
    # Weighted with sigma: what counts is the relative error of 1/sigma.
    inverse = solved_rounded(features * sigmas[:, None], torch.ones(len(sigmas), 1), 1e-7)
    early = solved_rounded(features, torch.sigmoid((sigmas - SHARP_BELOW) * 25)[:, None], 1e-5)
    return Clock(bare.first, bare.second, inverse.flatten(), early.flatten())
