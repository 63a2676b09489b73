"""Lays the attention of one block: queries and keys that are told what to look for, in units of the logits.

Rotary embedding turns pairs of numbers by the token's place: a query that holds (a, 0) and a key that holds (1, 0)
score a * cos(frequency * distance). Sums of such cosines make a peak at one distance. The first text token is where a
query goes that is to find nothing: it is the same for every prompt, and adds nothing.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from miniatures.state import (
    CONSTANT,
    DIVISOR,
    GARMENT,
    MINUS,
    ONE,
    PERSON,
    PLUS,
    SMALL,
    TARGET,
    WIDTH,
    Source,
    matrix,
)

Table = defaultdict[tuple[int, Source], float]
Kind = dict[Source, float]
"""What the flags are in one kind of token."""

FREQUENCY = [10000 ** (-k / 28) for k in range(28)]
"""Of the pairs for rows, and of those for columns, in radians per token."""
SINK_IS = 4.0
"""How much the logit of the sink stands above that of any other text token."""


def picture_pair(k: int) -> int:
    """The first of the two numbers that turn by which picture it is: 8 pairs."""
    return 2 * k


def row_pair(k: int) -> int:
    return 16 + 2 * k


def column_pair(k: int) -> int:
    return 72 + 2 * k


SINK, QUERY_REST, PERSON_MARK, GARMENT_MARK, KEY_REST = (
    row_pair(27),
    row_pair(25),
    column_pair(27),
    column_pair(26),
    column_pair(25),
)
"""Pairs that turn so slowly that their place does not matter."""
USELESS = row_pair(24)
"""A query that holds much here looks for nothing that is there, and so for everything a little."""


class Head:
    """Queries and keys of pictures' tokens by what they read, and the keys of the text's."""

    def __init__(self) -> None:
        self.query: Table = defaultdict(float)
        self.key: Table = defaultdict(float)
        self.text_key: Table = defaultdict(float)

    def sink(self) -> None:
        """The text's keys. The first number of its state is 1 in the sink and near 0 elsewhere."""
        self.text_key[SINK, ONE] += 1 - SINK_IS + SINK_IS / WIDTH
        self.text_key[SINK, 0] += SINK_IS

    def look(
        self,
        frequencies: Sequence[int],
        weight: float,
        source: Source = ONE,
        further: tuple[float, float] = (0, 0),
    ) -> None:
        """Queries for the same place, or for one some tokens further down and right."""
        for pair, tokens in zip((row_pair, column_pair), further, strict=True):
            for k in frequencies:
                angle = FREQUENCY[k] * tokens
                self.query[pair(k), source] += weight * math.cos(angle)
                self.query[pair(k) + 1, source] += weight * math.sin(angle)

    def be_found(self, frequencies: Sequence[int]) -> None:
        for k in frequencies:
            self.key[row_pair(k), ONE] += 1
            self.key[column_pair(k), ONE] += 1

    def lay(self, attention: Any, longest: tuple[float, float], kinds: Sequence[Kind]) -> None:
        """Into the module. The norms of queries and keys divide by their lengths, so every kind of token is filled up
        to the same: `longest`, of a query and of a key."""
        for table, length, rest in ((self.query, longest[0], QUERY_REST), (self.key, longest[1], KEY_REST)):
            _fill_up(table, length, rest, kinds)
        self.text_key[KEY_REST, ONE] = math.sqrt(longest[1] ** 2 - _length(self.text_key, {0: 1}) ** 2)
        gain = math.sqrt(math.prod(longest) / math.sqrt(WIDTH))
        with torch.no_grad():
            attention.to_q.weight.copy_(matrix(self.query))
            attention.to_k.weight.copy_(matrix(self.key))
            for norm in (attention.norm_q, attention.norm_k, attention.norm_added_k):
                norm.weight.fill_(gain)
            text = torch.zeros(WIDTH, WIDTH, dtype=torch.float64)
            for (row, source), weight in self.text_key.items():
                if isinstance(source, str):
                    text[row, PLUS] += weight / (2 * CONSTANT) * DIVISOR
                    text[row, MINUS] -= weight / (2 * CONSTANT) * DIVISOR
                else:
                    text[row, source] += weight * DIVISOR
            attention.add_k_proj.weight.copy_(text)


def _fill_up(table: Table, length: float, rest: int, kinds: Sequence[Kind]) -> None:
    sources: list[Source] = [ONE, TARGET, PERSON, GARMENT, SMALL]
    flags, missing = [], []
    for kind in kinds:
        own = _length(table, kind)
        if own > length:
            raise ValueError(f"A query or key of length {own:.0f} does not fit into {length:.0f}.")
        flags.append([1.0 if source == ONE else kind.get(source, 0.0) for source in sources])
        missing.append(math.sqrt(length**2 - own**2))
    weights = np.linalg.lstsq(np.array(flags), np.array(missing), rcond=None)[0]
    for source, weight in zip(sources, weights, strict=True):
        table[rest, source] += float(weight)


def _length(table: Table, kind: Kind) -> float:
    values: defaultdict[int, float] = defaultdict(float)
    for (row, source), weight in table.items():
        values[row] += weight * (1.0 if source == ONE else kind.get(source, 0.0))
    return math.hypot(*values.values())
