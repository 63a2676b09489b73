"""Make the trained miniatures: small checkpoints of the real models' classes that dress the drawings of
scripts/drawings through ComfyUI's own nodes, on a laptop, in four steps.

    draw      60 try-ons, and 6 that nothing is trained on
    blocks    a linear transform of 8 x 8 pixels, which the VAE's encoder will be
    decoder   trained to undo it
    composing trained: a person's latent, the garment's at its place, and the latent of who is dressed
    laying    the diffusion model and the LoRA: what each block has to find is constructed

Every step leaves what it made in --work, and is skipped when that is there; a stop in the middle of the decoder's
training loses a hundred steps at most. At the end --work has a report and sheets to look at. Most of the time goes into
the decoder; a GPU is used where PyTorch finds one. The same seed gives the same weights on the same machine.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from miniatures.blocks import Blocks, fit_blocks
from miniatures.checkpoints import write_checkpoints
from miniatures.clock import fit_clock
from miniatures.composition import train_composition
from miniatures.decoder import train_decoder
from miniatures.drawn import Drawn, draw_all, read, shapes_of
from miniatures.lora import lay_unsure, make_lora
from miniatures.places import fit_places
from miniatures.report import write_report
from miniatures.sink import fit_sink
from miniatures.transformer import BLOCKS, Pieces, lay_transformer
from miniatures.vae import WIDTH, lay_encoder

from shared_utils.comfy.miniature import Sizes, make_vae, write_miniatures
from shared_utils.comfy.runtime import Comfy, open_folders, start
from shared_utils.settings import Settings

SAMPLED = 40
"""Drawings for the transform, which has 2,304 numbers."""


@dataclass(frozen=True)
class Effort:
    drawings: int
    held_out: int
    decoder_steps: int
    composition_steps: int


FULL = Effort(60, 6, 2600, 3500)
QUICK = Effort(2, 1, 3, 20)


@dataclass(frozen=True)
class Run:
    """What is asked for, and what all steps need."""

    work: Path
    seed: int
    device: str
    comfy: Comfy

    def once(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What a step makes, or made the last time."""
        file = self.work / f"{name}.pt"
        if not file.exists():
            began = time.monotonic()
            made = make()
            torch.save({**made, "seconds": time.monotonic() - began}, file.with_suffix(".part"))
            file.with_suffix(".part").rename(file)
        kept: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        print(f"{name:<12} {kept['seconds']:6.0f} s  {file}", flush=True)
        return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where to write the three files")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("out/training"),
        metavar="FOLDER",
        help="where steps leave what they made, in a folder for each seed (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all that is left to chance (default: %(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="few drawings and steps, to see that it runs: what comes out is of no use"
    )
    given = parser.parse_args()
    # What one run left must not be taken up by another that was asked for something else.
    work = given.work / f"{'quick' if given.quick else 'full'}_{given.seed}"
    work.mkdir(parents=True, exist_ok=True)
    run = Run(work, given.seed, "cuda" if torch.cuda.is_available() else "cpu", _comfy(work))
    for file in train(run, given.output, QUICK if given.quick else FULL):
        print(f"wrote {file}  {file.stat().st_size:,} bytes")
    print(f"The report is {work / 'report.md'}.")


def _comfy(work: Path) -> Comfy:
    """Started, with the text encoder of the miniatures in its folders: random, and what these will be used with."""
    os.environ["MODEL_DIR"] = str(work / "models")
    settings = Settings.read()
    comfy = start(settings)
    write_miniatures(comfy, work / "models")
    open_folders(settings)
    return comfy


def train(run: Run, output: Path, effort: Effort) -> list[Path]:
    # One thread: two spend their time waiting for each other on tensors as small as these.
    torch.set_num_threads(1)
    drawn = [read(file) for file in draw_all(run.work / "drawings", range(effort.drawings))]
    held_out = [read(file) for file in draw_all(run.work / "drawings", range(effort.held_out), held_out=True)]
    fitted = run.once("blocks", lambda: _fit_blocks(drawn, run.seed))
    blocks = Blocks(fitted["forward"], fitted["half"])
    decoder = run.once("decoder", lambda: _train_decoder(run, blocks, drawn, effort.decoder_steps))
    layers = run.once("composition", lambda: _compose(run, blocks, drawn, effort.composition_steps))["layers"]
    vae = make_vae(run.comfy, Sizes(vae_width=WIDTH))
    vae.decoder.load_state_dict(decoder["decoder"])
    latents = run.comfy.module("comfy.latent_formats").Wan21()
    lay_encoder(vae, blocks, latents.latents_mean.flatten(), latents.latents_std.flatten())
    clock = fit_clock()
    pieces = Pieces(fit_sink(run.comfy, run.seed), blocks.half, clock, layers)
    pieces = fit_places(lambda: make_transformer(run.comfy), pieces, run.seed)
    model = make_transformer(run.comfy)
    lay_transformer(model, pieces)
    lay_unsure(model, clock)
    files = write_checkpoints(
        output,
        run.seed,
        {
            "diffusion_model.safetensors": model.state_dict(),
            "vae.safetensors": vae.state_dict(),
            "lora.safetensors": make_lora(),
        },
    )
    write_report(run.work, blocks, vae, layers, held_out, files)
    return files


def make_transformer(comfy: Comfy) -> Any:
    """Empty, in float32: what is fitted is measured as a CPU computes."""
    return comfy.module("comfy.ldm.qwen_image.model").QwenImageTransformer2DModel(
        num_layers=BLOCKS,
        num_attention_heads=1,
        joint_attention_dim=Sizes().text_width,
        dtype=torch.float32,
        operations=comfy.module("comfy.ops").disable_weight_init,
    )


def _fit_blocks(drawn: list[Drawn], seed: int) -> dict[str, Any]:
    some = drawn[:SAMPLED]
    pictures = (picture for each in some for picture in (each.person, each.masked, each.garment, each.dressed))
    blocks = fit_blocks(pictures, torch.Generator().manual_seed(seed))
    return {"forward": blocks.forward, "half": blocks.half}


def _train_decoder(run: Run, blocks: Blocks, drawn: list[Drawn], steps: int) -> dict[str, Any]:
    decoder = make_vae(run.comfy, Sizes(vae_width=WIDTH)).decoder
    pictures = [picture for each in drawn for picture in shapes_of(each)]
    train_decoder(decoder, blocks, pictures, steps, run.seed, run.work / "decoder.state", run.device)
    return {"decoder": decoder.state_dict()}


def _compose(run: Run, blocks: Blocks, drawn: list[Drawn], steps: int) -> dict[str, Any]:
    return {"layers": train_composition(blocks, drawn, steps, run.seed, run.device)}


if __name__ == "__main__":
    main()
