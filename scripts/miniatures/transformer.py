"""Lays the diffusion model: eight blocks of one head that dress a person.

The dressing is done on the person's own tokens, which always come at 1 megapixel and lie on the garment's; the target,
whatever its size, then reads what is finished:

    0     finds out which picture a token belongs to, and whether the target is small
    1     the person's tokens read the garment's at the same place, and begin to be dressed
    2, 3  the person's tokens find out where they lie, while they are dressed
    4     the target reads the token at its place; a small one the first of the four tokens under each of its own
    5-7   a small target reads the other three

What comes out is the whole picture at once; the sampler is given (state - picture) / sigma.

Nothing here is trained but the composition (composition.py): an attention that meets 12,000 tokens is slow to train on
a laptop, and what it has to find can be said.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from miniatures.attention import (
    GARMENT_MARK,
    PERSON_MARK,
    SINK,
    Head,
    Kind,
    column_pair,
    picture_pair,
    row_pair,
)
from miniatures.blocks import CHANNELS
from miniatures.clock import Clock
from miniatures.composition import Layer
from miniatures.rounding import rounded
from miniatures.state import (
    CONSTANT,
    CONTENT,
    DIAGONALS,
    DIVISOR,
    GARMENT,
    MINUS,
    ONE,
    OPPOSITE,
    PERSON,
    PLACE,
    PLUS,
    SECOND,
    SHARE,
    SMALL,
    TARGET,
    WIDTH,
    Source,
    blind,
    flagged,
    in_token,
    matrix,
)

BLOCKS = 8
SAME_PLACE = 1, 3, 5, 9
"""Frequencies whose cosines peak together at distance 0, and nowhere else within 80 tokens."""
UNDER = 0, 2, 4, 6
"""The same for a small target's token and those under it, whose keys bring their place themselves."""
SLOPE = 16
"""The frequency by which diagonals are measured: slow, so that its sine is nearly straight."""
STEEPNESS = 0.5
MEASURE = 64.0
"""A measured diagonal lies within plus and minus this."""
HIDDEN = 4 * WIDTH
OFF = 16.0
"""Taken from the hidden units that only some tokens may use, and given back to those by their flag."""
PACE = 0.97
"""Share of the way to the picture that is gone. The rest is a trace of the noise, so that another seed gives a slightly
other picture."""

Places = tuple[Tensor, Tensor, Tensor, Tensor]
"""From the two diagonals to PLACE: weights in, bias, weights out, bias."""


@dataclass(frozen=True)
class Pieces:
    """What was fitted or trained."""

    sink: Tensor
    """What of a text's token tells the first one: 1 there, near 0 elsewhere."""
    half: Tensor
    """See Blocks.half."""
    clock: Clock
    layers: list[Layer]
    places: Places | None = None


def lay_transformer(model: Any, pieces: Pieces) -> None:
    """Into ComfyUI's module, as bfloat16 will keep it."""
    blocks = model.transformer_blocks
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        _lay_entrance(model, pieces.sink)
        for block in blocks:
            for modulation in (block.img_mod, block.txt_mod):
                for gate in (2, 5):
                    modulation[1].bias[gate * WIDTH : (gate + 1) * WIDTH] = 1
            block.attn.norm_added_q.weight.fill_(1)
        _lay_kinds(blocks[0])
        _lay_garment(blocks[1])
        for block, side in zip(blocks[2:4], (1, -1), strict=True):
            _lay_diagonal(block, side)
        for block, (row, column) in zip(blocks[4:], ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True):
            _lay_reading(block, row, column, pieces.half)
        for block, layer in zip(blocks[1:4], pieces.layers, strict=False):
            _lay_composition(block.img_mlp, layer)
        if pieces.places is not None:
            _lay_places(blocks[3].img_mlp, pieces.places)
        _lay_exit(model, pieces.clock)
        for parameter in model.parameters():
            parameter.copy_(rounded(parameter))


def _lay_entrance(model: Any, sink: Tensor) -> None:
    for number in CONTENT:
        model.img_in.weight[number, number] = 1
    model.txt_norm.weight.fill_(1)
    model.txt_in.weight[0] = sink
    for entrance in (model.img_in, model.txt_in):
        entrance.bias[PLUS], entrance.bias[MINUS] = CONSTANT, -CONSTANT


def _lay_kinds(block: Any) -> None:
    """A token's share of attention that goes to pictures, e^3 times as much to each earlier one, tells which picture it
    belongs to; the target's also how many tokens it has."""
    head = Head()
    pair = picture_pair(2)
    head.query[pair + 1, ONE] = -30.0
    head.key[pair, ONE] = 1.0
    head.query[SINK, ONE] = 11.62
    head.sink()
    head.lay(block.attn, (60, 12), [{}])
    block.attn.to_v.weight.copy_(matrix({(0, ONE): 10.0}))
    block.attn.to_out[0].weight[SHARE, 0] = 1
    block.attn.to_out[0].weight[OPPOSITE[SHARE], 0] = -1
    # Steps from 0 to 1: the difference of two hidden units. Shares are .011 (small) or .037 in a target's token, .18 or
    # .44 in a person's, .82 or .94 in a garment's, more in those of a third picture.
    steps = ((0.0208, 900.0), (0.09, 200.0), (0.6, 60.0), (0.968, 700.0))
    rows: dict[tuple[int, Source], float] = {}
    bias = torch.zeros(HIDDEN)
    for step, (threshold, slope) in enumerate(steps):
        for end in (0, 1):
            rows[2 * step + end, SHARE] = slope / 10
            rows[2 * step + end, ONE] = -slope * threshold
            bias[2 * step + end] = -end
    out, always = torch.zeros(WIDTH, HIDDEN), torch.zeros(WIDTH)
    for flag, falls, rises in ((TARGET, 1, None), (PERSON, 2, 1), (GARMENT, 3, 2), (SMALL, 0, None)):
        for place, sign in ((flag, 1), (OPPOSITE[flag], -1)):
            _step(out[place], falls, -sign)
            if rises is None:
                always[place] = sign
            else:
                _step(out[place], rises, sign)
    _lay_mlp(block.img_mlp, matrix(rows, HIDDEN), bias, out, always)


def _step(row: Tensor, step: int, sign: int) -> None:
    row[2 * step] += sign
    row[2 * step + 1] -= sign


def _lay_mlp(mlp: Any, first: Tensor, bias: Tensor, second: Tensor, last: Tensor) -> None:
    mlp.net[0].proj.weight.copy_(first)
    mlp.net[0].proj.bias.copy_(bias)
    mlp.net[2].weight.copy_(second)
    mlp.net[2].bias.copy_(last)


KINDS: list[Kind] = [{TARGET: 1}, {TARGET: 1, SMALL: 1}, {PERSON: 1}, {GARMENT: 1}, {}]
"""The last is a third picture's, such as a mask, which nobody is to read."""


def _lay_garment(block: Any) -> None:
    head = Head()
    head.be_found(SAME_PLACE)
    head.look(SAME_PLACE, 35.0, PERSON)
    head.query[GARMENT_MARK, PERSON] = 60.0
    head.key[GARMENT_MARK, GARMENT] = 1.0
    for kind in (PERSON, TARGET, GARMENT):
        head.query[SINK, kind] = 333.0
    head.sink()
    head.lay(block.attn, (400, 20), KINDS)
    _read_content(block.attn)


def _read_content(attention: Any) -> None:
    attention.to_v.weight.copy_(matrix({(number, number): 1.0 for number in CONTENT}))
    for number, second in zip(CONTENT, SECOND, strict=True):
        attention.to_out[0].weight[second, number] = 1


def _lay_diagonal(block: Any, side: int) -> None:
    """Attention to the person's tokens that grows along a diagonal, and to the garment's that falls along it: the
    difference tells how far along it a token lies, whatever the number of tokens, since both pictures have as many."""
    head = Head()
    head.query[row_pair(SLOPE) + 1, ONE] = -STEEPNESS
    head.query[column_pair(SLOPE) + 1, ONE] = -STEEPNESS * side
    head.query[PERSON_MARK, ONE] = 25.0
    for kind, sign in ((PERSON, 1.0), (GARMENT, -1.0)):
        head.key[row_pair(SLOPE), kind] = sign
        head.key[column_pair(SLOPE), kind] = sign
        head.key[PERSON_MARK, kind] = 1.0
    head.lay(block.attn, (60, 20), KINDS)
    block.attn.to_v.weight.copy_(matrix({(0, PERSON): MEASURE, (0, GARMENT): -MEASURE}))
    block.attn.to_out[0].weight[DIAGONALS[0 if side > 0 else 1], 0] = 1


def _lay_reading(block: Any, row: int, column: int, half: Tensor) -> None:
    """The target reads the person's token at its place; a small one that `row` and `column` further of the four."""
    first = (row, column) == (0, 0)
    head = Head()
    head.be_found(SAME_PLACE)
    person: Kind = {PERSON: 1}
    for axis, pair in enumerate((row_pair, column_pair)):
        for n, k in enumerate(UNDER):
            place = PLACE + 8 * axis + 2 * n
            head.key[pair(k), place] += 1
            head.key[pair(k) + 1, place + 1] += 1
            person[place] = 1  # A cosine and a sine have length 1 together.
    head.key[PERSON_MARK, PERSON] = 1.0
    head.look(UNDER, 120.0, SMALL, (row / 2, column / 2))
    head.query[PERSON_MARK, TARGET] = 60.0
    for kind in (PERSON, GARMENT):
        head.query[SINK, kind] = 800.0
    head.query[SINK, SMALL] += 2 * len(UNDER) * 120.0
    if first:
        head.look(SAME_PLACE, 35.0, TARGET)
        head.look(SAME_PLACE, -35.0, SMALL)
        head.query[SINK, TARGET] += 328.0
        head.query[SINK, SMALL] -= 328.0
    else:
        head.query[SINK, TARGET] += 800.0
        head.query[SINK, SMALL] -= 800.0
    head.sink()
    head.lay(block.attn, (1300, 20), [person if PERSON in kind else kind for kind in KINDS])
    if first:
        _read_content(block.attn)
        _lay_first_quarter(block.img_mlp, half)
        return
    values = torch.zeros(WIDTH, WIDTH, dtype=torch.float64)
    values[:CHANNELS, : len(CONTENT)] = half * DIVISOR
    block.attn.to_v.weight.copy_(blind(values))
    for channel in range(CHANNELS):
        block.attn.to_out[0].weight[SECOND[in_token(channel, row, column)], channel] = 1


def _lay_first_quarter(mlp: Any, half: Tensor) -> None:
    """In a small target's token, what was read becomes the first of its four latents; x = gelu(x) - gelu(-x)."""
    count = len(CONTENT)
    change = -torch.eye(count, dtype=torch.float64)
    for channel in range(CHANNELS):
        change[in_token(channel, 0, 0)] += half[channel]
    read = torch.zeros(count, WIDTH, dtype=torch.float64)
    read[:, SECOND.start : SECOND.stop] = torch.eye(count) * DIVISOR
    for n, sign in enumerate((1, -1)):
        units = slice(n * count, (n + 1) * count)
        mlp.net[0].proj.weight[units] = flagged(blind(sign * read), SMALL, OFF).float()
        mlp.net[0].proj.bias[units] = -OFF
        mlp.net[2].weight[SECOND.start : SECOND.stop, units] = sign * change.float()


def _lay_composition(mlp: Any, layer: Layer) -> None:
    """Four times, for the four latents of a person's token."""
    first, bias, second = layer
    count = len(first)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        cell = 2 * row + column
        units = slice(cell * count, (cell + 1) * count)
        weights = torch.zeros(count, WIDTH, dtype=torch.float64)
        for channel in range(CHANNELS):
            number = in_token(channel, row, column)
            weights[:, CONTENT[number]] = first[:, channel] * DIVISOR
            weights[:, SECOND[number]] = first[:, CHANNELS + channel] * DIVISOR
            mlp.net[2].weight[CONTENT[number], units] = second[channel]
        mlp.net[0].proj.weight[units] = flagged(blind(weights), PERSON, OFF).float()
        mlp.net[0].proj.bias[units] = bias - OFF


def _lay_places(mlp: Any, places: Places) -> None:
    first, bias, second, last = places
    units = slice(HIDDEN - len(first), HIDDEN)
    mlp.net[0].proj.weight[units] = places_matrix(first).float()
    mlp.net[0].proj.bias[units] = bias
    mlp.net[2].weight[PLACE : PLACE + 16, units] = second
    mlp.net[2].bias[PLACE : PLACE + 16] = last


def places_matrix(first: Tensor) -> Tensor:
    weights = torch.zeros(len(first), WIDTH, dtype=torch.float64)
    for column, diagonal in enumerate(DIAGONALS):
        weights[:, diagonal] = first[:, column] * DIVISOR
    return blind(weights)


def _lay_exit(model: Any, clock: Clock) -> None:
    embedder = model.time_text_embed.timestep_embedder
    for layer, (weight, bias) in ((embedder.linear_1, clock.first), (embedder.linear_2, clock.second)):
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    # The last norm's scale is one plus this.
    model.norm_out.linear.weight[:WIDTH] = clock.inverse[:-1]
    model.norm_out.linear.bias[:WIDTH] = clock.inverse[-1] - 1
    rest = torch.zeros(model.proj_out.weight.shape, dtype=torch.float64)
    for number, second in zip(CONTENT, SECOND, strict=True):
        rest[number, number] = DIVISOR * PACE
        rest[number, second] = -DIVISOR * PACE
    model.proj_out.weight.copy_(blind(rest))
