"""What the 128 numbers of a token's state mean in the trained diffusion model, and how its layers read them.

Every block reads the state through a layer norm. Two large constants, +128 and -128, keep the norm's divisor at 16
within a third of a percent, whatever else the state holds, and half their sum gives back the mean that the norm
subtracts: a row whose weights add up to nothing is blind to it.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from miniatures.blocks import CHANNELS

WIDTH = 128
CONTENT = range(4 * CHANNELS)
"""The token's four latents of twelve numbers, channel by channel, as the model is given them."""
SECOND = range(4 * CHANNELS, 8 * CHANNELS)
"""In a person's token the garment at the same place; in a target's token the result."""
PLUS, MINUS = 96, 97
"""The constants."""
TARGET, PERSON, GARMENT, SMALL, SHARE = 98, 99, 100, 101, 102
"""Flags: which picture a token belongs to, and whether the target has fewer tokens than the person; and the measurement
that they are made of."""
OPPOSITE = {TARGET: 122, PERSON: 123, GARMENT: 124, SMALL: 121, SHARE: 126}
"""Each flag is kept twice, with both signs. A row that reads the difference needs no constants to be blind to the mean;
bfloat16 would have rounded a small weight away beside a large one."""
DIAGONALS = 103, 104
"""Where a person's token lies, as measured: row plus column, row minus column."""
PLACE = 105
"""The same as cosines and sines of four frequencies for the row, then for the column: sixteen numbers."""
UNSURE = 125
"""What the LoRA takes away: see lora.py."""

CONSTANT = 128.0
DIVISOR = 16.0
ONE = "1"
"""Stands for a constant among what a row reads."""

Source = int | str
Rows = Mapping[tuple[int, Source], float]
"""Weights by row and by what is read, in units of the state before the norm."""


def matrix(rows: Rows, height: int = WIDTH) -> Tensor:
    """The weights as a layer behind the norm needs them, blind to the mean."""
    weights = torch.zeros(height, WIDTH, dtype=torch.float64)
    for (row, source), weight in rows.items():
        if isinstance(source, str):
            weights[row, PLUS] += weight / (2 * CONSTANT)
            weights[row, MINUS] -= weight / (2 * CONSTANT)
        elif source in OPPOSITE:
            weights[row, source] += weight / 2
            weights[row, OPPOSITE[source]] -= weight / 2
        else:
            weights[row, source] += weight
    return blind(weights * DIVISOR)


def blind(weights: Tensor) -> Tensor:
    """With what the constants' columns need for every row to add up to nothing."""
    weights = weights.clone()
    excess = weights.sum(1) / 2
    weights[:, PLUS] -= excess
    weights[:, MINUS] -= excess
    return weights


def flagged(weights: Tensor, flag: int, weight: float) -> Tensor:
    """With the flag read by every row, so much that rows are off where it is not set."""
    weights = weights.clone()
    weights[:, flag] += weight * DIVISOR / 2
    weights[:, OPPOSITE[flag]] -= weight * DIVISOR / 2
    return weights


def in_token(channel: int, row: int, column: int) -> int:
    """Where a number of one of a token's four latents lies in its content."""
    return channel * 4 + row * 2 + column
