"""Fits how a person's token learns where it lies, from the two diagonals that blocks 2 and 3 measure.

What a token measures is computed here as the blocks will, from its queries and the keys of all tokens of its picture;
then one hidden layer from the two measurements to the cosines and sines of the place is fitted by least squares.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  as PyTorch itself calls it
from drawings.dressing import SIZES
from torch import Tensor

from miniatures.attention import FREQUENCY
from miniatures.rounding import rounded, solved_rounded
from miniatures.state import CONSTANT, DIAGONALS, GARMENT, MINUS, OPPOSITE, PERSON, PLUS, WIDTH
from miniatures.transformer import MEASURE, SLOPE, STEEPNESS, UNDER, Pieces, Places, lay_transformer, places_matrix

TOKEN = 16
"""Pixels."""
PER_TOKEN = MEASURE * STEEPNESS * FREQUENCY[SLOPE]
"""By how much a diagonal grows from a token to the next."""
UNITS, SPREAD, SHARP = 256, 0.05, 0.8
"""Hidden units; how much their direction varies; their steepness, in half tokens."""
FARTHEST = 41.0
"""Tokens from the middle, of the longest picture."""
WORST = 0.02
"""Error of cosines and sines, above which nothing would be read from where it is to be."""


def fit_places(make: Callable[[], Any], pieces: Pieces, seed: int) -> Pieces:
    """`make` gives an empty diffusion model. The pieces come back with what was fitted, tested against the grids of
    all sizes that the drawings have."""
    generator = torch.Generator().manual_seed(seed)
    model = make()
    lay_transformer(model, pieces)
    places, diagonals = [], []
    for width, height in SIZES:
        grid = -(-height // TOKEN), -(-width // TOKEN)
        chosen = torch.randperm(math.prod(grid), generator=generator)[:1600]
        where, one = _measured(model, 2, grid, chosen)
        _, other = _measured(model, 3, grid, chosen)
        places.append(where)
        diagonals.append(torch.stack([one, other], 1))
    return replace(pieces, places=_fit(torch.cat(diagonals), torch.cat(places), generator))


def _normed(state: Tensor) -> Tensor:
    return F.layer_norm(state, (WIDTH,), eps=1e-6)


@torch.no_grad()
def _measured(model: Any, block: int, grid: tuple[int, int], chosen: Tensor) -> tuple[Tensor, Tensor]:
    """The place (row, column from the middle) of each chosen token of a person, and the diagonal that it measures."""
    attention = model.transformer_blocks[block].attn
    places = torch.cartesian_prod(*(torch.arange(side) - float(side // 2) for side in grid))
    person, garment = (_normed(_state(1, flag)) for flag in (PERSON, GARMENT))
    turns = [
        model.pe_embedder(torch.cat([torch.full((len(places), 1), picture), places], 1)[None])[0, 0]
        for picture in (1.0, 2.0)
    ]
    queries = _turned(attention.norm_q(attention.to_q(person)), turns[0][chosen])
    keys = [
        _turned(attention.norm_k(attention.to_k(state)), turn)
        for state, turn in zip((person, garment), turns, strict=True)
    ]
    shares = (queries @ torch.cat(keys).T / math.sqrt(WIDTH)).softmax(1)
    values = torch.cat([attention.to_v(state)[:, 0].expand(len(places)) for state in (person, garment)])
    return places[chosen], shares @ values


def _state(count: int, flag: int) -> Tensor:
    """Of tokens of one kind that have read nothing yet."""
    state = torch.zeros(count, WIDTH)
    state[:, PLUS], state[:, MINUS] = CONSTANT, -CONSTANT
    state[:, flag], state[:, OPPOSITE[flag]] = 1, -1
    return state


def _turned(values: Tensor, turns: Tensor) -> Tensor:
    pairs = values.expand(len(turns), WIDTH).reshape(len(turns), WIDTH // 2, 1, 2)
    return (turns[..., 0] * pairs[..., 0] + turns[..., 1] * pairs[..., 1]).reshape(len(turns), WIDTH)


def _fit(diagonals: Tensor, places: Tensor, generator: torch.Generator) -> Places:
    slope = SHARP / (2 * PER_TOKEN)
    each = (UNITS - 16) // 2
    tilt = torch.linspace(-SPREAD, SPREAD, 3).repeat(each)[:each]
    first = torch.cat([
        torch.stack([slope * (1 + tilt), slope * (1 - tilt)], 1),
        torch.stack([slope * (1 + tilt), -slope * (1 - tilt)], 1),
        torch.randn(16, 2, generator=generator) * slope * 0.3,
    ])  # fmt: skip
    thresholds = torch.linspace(-FARTHEST, FARTHEST, each) * SHARP
    bias = rounded(torch.cat([-thresholds, -thresholds, torch.randn(16, generator=generator) * 3]))
    hidden = F.gelu(_read(diagonals, first) + bias, approximate="tanh")
    wanted = torch.stack(
        [
            part
            for axis in (0, 1)
            for k in UNDER
            for angle in (FREQUENCY[k] * 0.5 * places[:, axis],)
            for part in (angle.cos(), -angle.sin())
        ],
        1,
    )
    # The middle of a picture counts most: that is where the person is.
    weight = torch.exp(-0.5 * (places / 80).square().sum(1))[:, None]
    features = torch.cat([hidden, torch.ones(len(hidden), 1)], 1)
    solved = solved_rounded(features * weight, wanted * weight, 1e-8)
    error = (features @ solved - wanted).square().mean().sqrt()
    if error > WORST:
        raise ValueError(f"Tokens would not know their places: cosines and sines are off by {error:.3f}.")
    return first, bias, solved[:-1].T.contiguous(), solved[-1]


def _read(diagonals: Tensor, first: Tensor) -> Tensor:
    """What the hidden layer gets of them, as its rounded weights read them behind the norm."""
    weights = rounded(places_matrix(first).float())
    state = _state(len(diagonals), PERSON)
    state[:, DIAGONALS[0]], state[:, DIAGONALS[1]] = diagonals.T
    return _normed(state) @ weights.T
