"""How the trained miniatures are made: each piece against what ComfyUI's own modules do with it, then all of it in its
quickest form."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import miniatures.decoder
import numpy as np
import pytest
import torch
from drawings.dressing import draw_dressing
from miniatures.blocks import CHANNELS, Blocks, fit_blocks
from miniatures.clock import FEW_STEPS, fit_clock
from miniatures.decoder import decode, train_decoder
from miniatures.drawn import Drawn, drawn_of, halved
from miniatures.quality import psnr, quality_of
from miniatures.rounding import rounded, solved_rounded
from miniatures.vae import WIDTH, lay_encoder
from safetensors import safe_open

from shared_utils.comfy.miniature import Sizes, make_vae
from shared_utils.comfy.runtime import Comfy
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return drawn_of(draw_dressing(1, (512, 640)))


@pytest.fixture(scope="module")
def blocks(drawn: Drawn) -> Blocks:
    return fit_blocks([drawn.masked, drawn.garment, drawn.dressed], torch.Generator().manual_seed(0))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As training has it: two wait for each other on tensors as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def everywhere(picture: np.ndarray) -> np.ndarray:
    return np.ones(picture.shape[:2], bool)


def test_twelve_numbers_keep_what_a_block_of_a_drawing_shows(blocks: Blocks, drawn: Drawn) -> None:
    picture = drawn.dressed
    assert psnr(blocks.picture_of(blocks.latents_of(picture)), picture, everywhere(picture)) > 28


def test_the_latents_at_half_size_are_a_linear_function_of_the_latents(blocks: Blocks, drawn: Drawn) -> None:
    latents, wanted = blocks.latents_of(drawn.dressed), blocks.latents_of(halved(drawn.dressed))
    rows, columns = wanted.shape[1:]
    fours = latents.reshape(CHANNELS, rows, 2, columns, 2).permute(1, 3, 0, 2, 4).reshape(-1, 4 * CHANNELS)
    got = (fours @ blocks.half.T).T.reshape(wanted.shape)
    assert psnr(blocks.picture_of(got), blocks.picture_of(wanted), everywhere(blocks.picture_of(wanted))) > 40


def test_the_encoder_of_the_real_class_is_the_transform(comfy: Comfy, blocks: Blocks, drawn: Drawn) -> None:
    vae, latents = make_vae(comfy, Sizes(vae_width=WIDTH)), comfy.module("comfy.latent_formats").Wan21()
    lay_encoder(vae, blocks, latents.latents_mean.flatten(), latents.latents_std.flatten())
    pixels = torch.from_numpy(drawn.dressed).float().permute(2, 0, 1)[None, :, None] / 127.5 - 1
    with torch.inference_mode():
        got = latents.process_in(vae.encode(pixels))[0, :, 0]
    wanted = blocks.latents_of(drawn.dressed)
    assert got.shape[1:] == wanted.shape[1:]
    # What bfloat16 leaves of the weights.
    assert (got[:CHANNELS] - wanted).square().mean().sqrt() < 0.01 * wanted.square().mean().sqrt()


def test_the_decoder_is_trained_as_the_real_class_decodes(comfy: Comfy) -> None:
    vae: Any = make_vae(comfy, Sizes(vae_width=WIDTH))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in vae.decoder.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
        vae.decoder.middle[1].proj.weight.zero_()  # attention stays without effect, as in training
        vae.decoder.middle[1].proj.bias.zero_()
        vae.conv2.weight.copy_(torch.eye(16)[:, :, None, None, None])
        vae.conv2.bias.zero_()
        latents = torch.randn(1, 16, 4, 6, generator=generator)
        wanted = vae.decode(latents[:, :, None])[:, :, 0]
        got = decode(vae.decoder, latents)
    assert torch.allclose(got, wanted, atol=1e-4 * float(wanted.abs().max()))


def test_the_clock_tells_one_over_sigma_after_rounding() -> None:
    clock, sigmas = fit_clock(), torch.tensor(FEW_STEPS)
    assert torch.allclose(clock.inverse, rounded(clock.inverse))
    assert torch.allclose(clock.read(sigmas, clock.inverse) * sigmas, torch.ones(4), atol=2e-3)
    early = clock.read(torch.tensor([1.0, 0.75, 0.5, 0.1, 0.05]), clock.early)
    assert torch.allclose(early, torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0]), atol=0.05)


def test_weights_solved_for_bfloat16_are_nearer_than_rounded_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(400, 30, generator=generator) @ torch.randn(30, 30, generator=generator)
    wanted = features @ torch.randn(30, 2, generator=generator)
    exact = torch.linalg.lstsq(features, wanted).solution
    solved = solved_rounded(features, wanted, 1e-9)
    assert torch.equal(solved, rounded(solved))
    assert (features @ solved - wanted).norm() < 0.7 * (features @ rounded(exact) - wanted).norm()


def test_quality_is_told_apart_outside_inside_and_in_colour(drawn: Drawn) -> None:
    assert quality_of(drawn.dressed, drawn).outside > 90
    assert quality_of(halved(drawn.dressed), drawn).inside > 90
    spoilt = np.where(drawn.area[..., None], drawn.dressed, 255 - drawn.dressed)
    quality = quality_of(spoilt, drawn)
    assert quality.outside < 15
    assert quality.inside > 90
    assert quality.colour == 0
    quality = quality_of(np.where(drawn.area[..., None], 255 - drawn.dressed, drawn.dressed), drawn)
    assert quality.inside < 20
    assert quality.outside > 90
    assert quality.colour > 15
    assert math.isinf(psnr(drawn.dressed, drawn.dressed, np.zeros_like(drawn.area)))


@pytest.mark.usefixtures("one_thread")
def test_training_goes_on_where_it_was_stopped(
    comfy: Comfy, blocks: Blocks, drawn: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(kept: Path) -> dict[str, torch.Tensor]:
        decoder: Any = make_vae(comfy, Sizes(vae_width=2)).decoder
        train_decoder(decoder, blocks, [drawn.dressed], 4, 0, kept, "cpu")
        return dict(decoder.state_dict())

    monkeypatch.setattr("miniatures.decoder.KEEP_EVERY", 2)
    at_once = trained(tmp_path / "at_once")

    learn, learned = miniatures.decoder._learn, []

    def stopped(*given: Any) -> float:
        learned.append(given)
        if len(learned) == 4:
            raise KeyboardInterrupt
        return learn(*given)

    with monkeypatch.context() as patched:
        patched.setattr("miniatures.decoder._learn", stopped)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "stopped")
    assert torch.load(tmp_path / "stopped", weights_only=True)["step"] == 2
    gone_on = trained(tmp_path / "stopped")
    assert all(torch.equal(gone_on[name], tensor) for name, tensor in at_once.items())


def test_the_command_makes_three_checkpoints_with_cards_and_what_to_look_at(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts/train_miniatures.py"), "--quick"]
    where = ["--work", str(tmp_path / "work"), "--output", str(tmp_path / "made")]
    subprocess.run([*command, *where], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    files = sorted((tmp_path / "made").iterdir())
    assert [file.name for file in files] == ["diffusion_model.safetensors", "lora.safetensors", "vae.safetensors"]
    for file in files:
        with safe_open(file, framework="numpy") as opened:
            assert {"vtryon", "can", "cannot", "trained on", "made by"} <= opened.metadata().keys()
    assert {"report.md", "decoder.png", "composition.png"} <= {
        file.name for file in (tmp_path / "work" / "quick_0").iterdir()
    }
