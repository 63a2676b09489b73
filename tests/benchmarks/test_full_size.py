"""The random checkpoints: ComfyUI loads them as it does the real ones, and full-size ones are as large as those."""

from pathlib import Path

import floor
import full_size
import pytest
import torch
from bench import SMALLEST
from full_size import FULL, LORA_LAYERS, write_checkpoints
from rates import Rates, measured
from safetensors import safe_open

from shared_utils.comfy.loader import Models
from shared_utils.comfy.runtime import Comfy
from shared_utils.contracts import CLIP, LORA, UNET, VAE
from shared_utils.settings import Settings

PUBLISHED_GB = {"_unet": 20.43, "_clip": 9.38, "_vae": 0.254}
"""As their page on Hugging Face says."""


@pytest.mark.parametrize("kind", PUBLISHED_GB)
def test_full_sizes_are_those_of_the_real_files(comfy: Comfy, kind: str) -> None:
    size = sum(entry.size for entry in getattr(full_size, kind)(comfy, FULL))
    assert size / 1e9 == pytest.approx(PUBLISHED_GB[kind], rel=0.005)


@torch.inference_mode()
def test_they_load(comfy: Comfy, tmp_path: Path) -> None:
    size = write_checkpoints(comfy, tmp_path, SMALLEST, "cpu")
    assert size < sum(file.stat().st_size for file in tmp_path.rglob("*.safetensors")) < size + 500_000
    models = Models(Settings(model_dir=tmp_path))
    unet = models.unet(UNET, LORA, 1.0)
    assert len(unet.patches) == len(LORA_LAYERS) * SMALLEST.layers  # the LoRA fits everywhere
    with safe_open(tmp_path / "diffusion_models" / UNET, framework="pt") as opened:
        assert opened.get_tensor("img_in.weight").dtype == torch.float8_e4m3fn
    clip = models.clip(CLIP)
    (state,) = clip.encode_from_tokens_scheduled(clip.tokenize("a green mask"))
    assert state[0].isfinite().all()
    assert models.vae(VAE).decode(torch.zeros(1, 16, 1, 4, 4)).isfinite().all()


def test_there_has_to_be_room(comfy: Comfy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda folder: Full)
    with pytest.raises(RuntimeError, match="has room for"):
        write_checkpoints(comfy, tmp_path, SMALLEST, "cpu")
    assert list(tmp_path.iterdir()) == []


def test_what_a_step_of_the_sampler_comes_to() -> None:
    """Nearly all of the diffusion model's 20 billion weights are met by every token, but those of the modulation."""
    work = floor.sampler_step(FULL, 1024 * 1024)
    assert work.weight_bytes == pytest.approx(20.4e9, rel=0.01)
    tokens = 3 * 4096 + floor.text_tokens(2)
    assert work.operations > 2 * tokens * 60 * 12 * 3072**2


def test_the_language_model_and_the_vision_tower_are_counted() -> None:
    work = floor.text_encoding(FULL)
    assert work.weight_bytes == pytest.approx(6.53e9 + 0.63e9, rel=0.02)


def test_the_vae_is_counted_without_being_run(comfy: Comfy) -> None:
    small, large = (floor.vae(comfy, FULL, pixels) for pixels in (256 * 256, 512 * 512))
    for one, four in zip(small, large, strict=True):
        assert four.operations == pytest.approx(4 * one.operations, rel=0.1)


def test_a_floor_is_the_slower_of_computing_and_reading() -> None:
    rates = Rates(operations=10.0, device_bytes=100.0, upload_bytes=1.0)
    assert floor.Work(50.0, 100.0).seconds(rates) == 5.0
    assert floor.Work(1.0, 200.0).seconds(rates) == 2.0


def test_rates_are_measured() -> None:
    rates = measured("cpu", side=64, megabytes=1, seconds=0)
    assert min(rates.operations, rates.device_bytes, rates.upload_bytes) > 0
