"""Lays the linear transform into the VAE's encoder, and the latents' scaling between it and the decoder.

The encoder's residual branches are left at nothing. Its three downsampling convolutions gather 2 x 2, then 4 x 4 and 8
x 8 pixels; since only 24 numbers pass between the second and the third, a quarter of a block keeps the 24 that matter
most. The last norm divides by the length of what it is given, so one channel that is always large makes that a
constant; and its activation is undone with pairs of opposite sign, silu(x) - silu(-x) = x.
"""

from typing import Any

import torch
from torch import Tensor

from miniatures.blocks import CHANNELS, Blocks
from miniatures.rounding import rounded

WIDTH = 12
"""Of the first layers, which is also what 2 x 2 pixels of three colours need."""
QUARTER = 24
LARGE = 256.0


def through_quarters(blocks: Blocks) -> tuple[Tensor, Tensor]:
    """The numbers that a quarter of a block keeps of its 48 pixels' (24 by 48), and what makes the block's twelve of
    all four quarters' (2 by 2 by 12 by 24)."""
    pixels = (
        blocks.forward.reshape(2, 4, 2, 4, 3, CHANNELS).permute(0, 2, 5, 1, 3, 4).reshape(4 * CHANNELS, 48).double()
    )
    kept = torch.linalg.svd(pixels, full_matrices=False)[2][:QUARTER]
    return kept, (pixels @ kept.T).reshape(2, 2, CHANNELS, QUARTER)


def lay_encoder(vae: Any, blocks: Blocks, mean: Tensor, deviation: Tensor) -> None:
    """`mean` and `deviation`: how ComfyUI scales this kind of latent, sixteen numbers each."""
    kept, gather = through_quarters(blocks)
    encoder = vae.encoder
    # 0, 1: residual, 2: down, 3, 4: residual, 5: down, 6, 7: residual, 8: down, 9, 10: residual
    layers = encoder.downsamples
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            parameter.fill_(1 if "gamma" in name else 0)
        for module in (vae.conv1, vae.conv2):
            module.weight.zero_()
            module.bias.zero_()
        for colour in range(3):
            encoder.conv1.weight[colour, colour, -1, 1, 1] = 1
        for row in range(2):
            for column in range(2):
                place = slice((2 * row + column) * 3, (2 * row + column) * 3 + 3)
                layers[2].resample[1].weight[place, :3, row, column] = torch.eye(3)
        _pass(layers[3].shortcut, WIDTH)
        # Of a quarter's 4 x 4 pixels: which 2 x 2, which pixel of these, and the colour.
        pixels = kept.float().reshape(QUARTER, 2, 2, 2, 2, 3).permute(1, 3, 0, 2, 4, 5).reshape(2, 2, QUARTER, WIDTH)
        for row in range(2):
            for column in range(2):
                layers[5].resample[1].weight[:, :WIDTH, row, column] = pixels[row, column]
                layers[8].resample[1].weight[:CHANNELS, :QUARTER, row, column] = gather[row, column].float()
                layers[8].resample[1].weight[CHANNELS : 2 * CHANNELS, :QUARTER, row, column] = -gather[
                    row, column
                ].float()
        _pass(layers[6].shortcut, QUARTER)
        layers[8].resample[1].bias[2 * CHANNELS] = LARGE
        encoder.head[0].gamma[: 2 * CHANNELS] = LARGE / encoder.head[0].gamma.numel() ** 0.5
        for channel in range(CHANNELS):
            encoder.head[2].weight[channel, channel, -1, 1, 1] = 1
            encoder.head[2].weight[channel, CHANNELS + channel, -1, 1, 1] = -1
            vae.conv1.weight[channel, channel, -1, 0, 0] = deviation[channel]
            vae.conv2.weight[channel, channel, -1, 0, 0] = 1 / deviation[channel]
            vae.conv2.bias[channel] = -mean[channel] / deviation[channel]
        vae.conv1.bias[: len(mean)] = mean
        for parameter in vae.parameters():
            parameter.copy_(rounded(parameter))


def _pass(shortcut: Any, count: int) -> None:
    for channel in range(count):
        shortcut.weight[channel, channel, -1, 0, 0] = 1
