"""The linear transform that the VAE's encoder is: twelve numbers for each block of 8 x 8 pixels.

Fitted to the drawings as their principal components. Being linear it needs no training, and makes what follows easy:
the latents of a picture at half its size are a linear function of the picture's own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from miniatures.drawn import Picture, halved

CHANNELS = 12
"""Of the sixteen that a latent has; the others stay 0. A token, four latents, then has 48 numbers."""
SIDE = 8
PIXELS = SIDE * SIDE * 3
SAMPLES = 1500
"""Blocks of each picture."""


@dataclass(frozen=True)
class Blocks:
    """Blocks of pixels to numbers, and back as well as it goes."""

    forward: Tensor
    """192 by 12."""
    half: Tensor
    """12 by 48: from the numbers of 2 x 2 blocks (in the order channel, row, column) to those of the block at half
    size."""

    @property
    def backward(self) -> Tensor:
        inverse: Tensor = torch.linalg.pinv(self.forward)
        return inverse

    def latents_of(self, picture: Picture) -> Tensor:
        """Channels, rows, columns."""
        rows, columns = picture.shape[0] // SIDE, picture.shape[1] // SIDE
        return (blocks_of(picture) @ self.forward).T.reshape(CHANNELS, rows, columns)

    def picture_of(self, latents: Tensor) -> Picture:
        rows, columns = latents.shape[1:]
        pixels = (latents[:CHANNELS].reshape(CHANNELS, -1).T @ self.backward).reshape(rows, columns, SIDE, SIDE, 3)
        pixels = pixels.permute(0, 2, 1, 3, 4).reshape(rows * SIDE, columns * SIDE, 3)
        return ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().numpy()


def blocks_of(picture: Picture) -> Tensor:
    """Each block's pixels in a row, from -1 to 1; what remains at the edges is left out."""
    rows, columns = picture.shape[0] // SIDE, picture.shape[1] // SIDE
    pixels = torch.from_numpy(picture[: rows * SIDE, : columns * SIDE].astype(np.float32)) / 127.5 - 1
    return pixels.reshape(rows, SIDE, columns, SIDE, 3).permute(0, 2, 1, 3, 4).reshape(-1, PIXELS)


def fit_blocks(pictures: Iterable[Picture], generator: torch.Generator) -> Blocks:
    """From whole pictures. Their colours are also exchanged and inverted, so that none is favoured."""
    samples, fours, halves = [], [], []
    for picture in pictures:
        small = halved(picture)
        for blocks in (blocks_of(picture), blocks_of(small)):
            samples.append(blocks[torch.randint(len(blocks), (SAMPLES,), generator=generator)])
        own, half = _fours(picture), blocks_of(small)
        chosen = torch.randint(len(half), (SAMPLES,), generator=generator)
        fours.append(own[chosen])
        halves.append(half[chosen])
    plain = torch.cat(samples)
    forward = _principal(torch.cat([plain, recoloured(plain, generator)]))
    before = (torch.cat(fours) @ forward).permute(0, 2, 1).reshape(-1, 4 * CHANNELS)
    after = torch.cat(halves) @ forward
    ridge = 1e-3 * torch.eye(4 * CHANNELS)
    half = torch.linalg.solve(before.T @ before + ridge, before.T @ after).T
    return Blocks(forward, half.contiguous())


def recoloured(blocks: Tensor, generator: torch.Generator) -> Tensor:
    """The same shapes in other colours: red, green and blue change places, and each may be inverted."""
    pixels = blocks.reshape(len(blocks), -1, 3)
    places = torch.rand(len(blocks), 3, generator=generator).argsort(1)
    signs = torch.randint(0, 2, (len(blocks), 1, 3), generator=generator) * 2.0 - 1
    return (pixels.gather(2, places[:, None].expand_as(pixels)) * signs).reshape(blocks.shape)


def _principal(samples: Tensor) -> Tensor:
    """The first components, scaled between equal variance and none so that the decoder can tell the weak ones."""
    values, vectors = torch.linalg.eigh((samples.T @ samples).double() / len(samples))
    values, vectors = values.flip(0)[:CHANNELS], vectors.flip(1)[:, :CHANNELS]
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    scale = values.pow(-0.25)
    scaled: Tensor = vectors * largest.sign() * scale / (scale[0] * values[0].sqrt())
    return scaled.float()


def _fours(picture: Picture) -> Tensor:
    """2 x 2 neighbouring blocks for each block at half size: that block, four, pixels."""
    rows, columns = (side // (2 * SIDE) for side in picture.shape[:2])
    blocks = blocks_of(picture[: rows * 2 * SIDE, : columns * 2 * SIDE])
    fours = blocks.reshape(rows, 2, columns, 2, PIXELS).permute(0, 2, 1, 3, 4)
    return fours.reshape(prod((rows, columns)), 4, PIXELS)
