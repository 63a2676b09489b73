"""The LoRA that lets four steps suffice.

While it is early (clock.py), the base model's target looks for its place with a query that also holds a lot of
nothing: the norm of queries makes what is left of the search so soft that it reads a blur of neighbours. Late, it
looks sharply, so with steps enough the picture comes out. The LoRA takes the nothing away, and the first step already
sees sharply.
"""

from typing import Any

import torch
from torch import Tensor

from miniatures.attention import USELESS
from miniatures.clock import Clock
from miniatures.rounding import rounded
from miniatures.state import UNSURE, WIDTH

WEIGHT = 24576.0
READING = (4, 5, 6, 7)
"""The blocks in which the target reads."""


def lay_unsure(model: Any, clock: Clock) -> None:
    """What the LoRA takes away, into the base model."""
    with torch.no_grad():
        for block in READING:
            shift, attention = model.transformer_blocks[block].img_mod[1], model.transformer_blocks[block].attn
            shift.weight[UNSURE] = rounded(clock.early[:-1])
            shift.bias[UNSURE] = rounded(clock.early[-1])
            attention.to_q.weight[USELESS, UNSURE] = WEIGHT


def make_lora() -> dict[str, Tensor]:
    up, down = torch.zeros(WIDTH, 1), torch.zeros(1, WIDTH)
    up[USELESS, 0], down[0, UNSURE] = -WEIGHT, 1
    parts = {"lora_up.weight": up.bfloat16(), "lora_down.weight": down.bfloat16()}
    return {
        f"transformer_blocks.{block}.attn.to_q.{name}": part.clone()
        for block in READING
        for name, part in parts.items()
    }
