"""What a training run leaves for people: figures on drawings it never saw, and sheets to look at.

The pieces are measured alone here, without the diffusion model's attention; scripts/measure_miniatures.py measures all
of it through the services.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from contact_sheet import contact_sheet
from PIL import Image

from miniatures.blocks import Blocks
from miniatures.composition import Layer, composed
from miniatures.decoder import decode
from miniatures.drawn import Drawn, Picture
from miniatures.quality import Quality, psnr, quality_of

SHOWN = 3


def write_report(
    work: Path, blocks: Blocks, vae: Any, layers: list[Layer], held_out: list[Drawn], files: Sequence[Path]
) -> None:
    decoded = [(each.dressed, _decoded(vae, blocks.latents_of(each.dressed))) for each in held_out]
    dressed = [(each, _decoded(vae, _dressed(blocks, layers, each))) for each in held_out]
    qualities = [quality_of(made, each) for each, made in dressed]
    everywhere = [psnr(made, _like(picture, made), np.ones(made.shape[:2], bool)) for picture, made in decoded]
    _sheet(work / "decoder.png", ("drawn", "encoded and decoded"), decoded[:SHOWN])
    rows = [(each.masked, each.garment, made) for each, made in dressed[:SHOWN]]
    _sheet(work / "composition.png", ("area to dress", "garment", "result"), rows)
    (work / "report.md").write_text(_text(everywhere, qualities, files), "utf-8")


def _text(everywhere: list[float], qualities: list[Quality], files: Sequence[Path]) -> str:
    lines = [
        "# Training report",
        "",
        f"On {len(qualities)} drawings that nothing was trained on (other seeds, two patterns and a pose held out), at",
        "1 megapixel, without the diffusion model's attention. Medians, and the worst in brackets.",
        "",
        f"- encoded and decoded again: {median(everywhere):.1f} dB ({min(everywhere):.1f}); decoder.png",
        f"- dressed, outside the area: {median(q.outside for q in qualities):.1f} dB "
        f"({min(q.outside for q in qualities):.1f}); composition.png",
        f"- dressed, inside it: {median(q.inside for q in qualities):.1f} dB ({min(q.inside for q in qualities):.1f})",
        f"- distance of the garment's main colour: {median(q.colour for q in qualities):.1f} "
        f"({max(q.colour for q in qualities):.1f})",
        "",
        *(f"- {file.name}: {file.stat().st_size:,} bytes" for file in files),
        f"- together: {sum(file.stat().st_size for file in files):,} bytes",
        "",
    ]
    return "\n".join(lines)


def _dressed(blocks: Blocks, layers: list[Layer], drawn: Drawn) -> torch.Tensor:
    masked, garment = blocks.latents_of(drawn.masked), blocks.latents_of(drawn.garment)
    rows = composed(layers, masked.flatten(1).T, garment.flatten(1).T)
    return rows.T.reshape(masked.shape)


@torch.inference_mode()
def _decoded(vae: Any, latents: torch.Tensor) -> Picture:
    pixels = decode(vae.decoder, latents[None].contiguous(memory_format=torch.channels_last))[0].permute(1, 2, 0)
    picture: Picture = ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
    return picture


def _like(picture: Picture, other: Picture) -> Picture:
    return picture[: other.shape[0], : other.shape[1]]


def _sheet(file: Path, captions: Sequence[str], rows: Sequence[Sequence[Picture]]) -> None:
    cells = [[(c, Image.fromarray(p)) for c, p in zip(captions, row, strict=True)] for row in rows]
    contact_sheet(cells).save(file)
