"""The sampler takes every form that its inputs can come in, and makes the same of each."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sampling import service
from sampling.config import Config
from sampling.errors import UNETModelNotFoundError
from sampling.service import Sampling, sample_latent
from shared_utils.contracts import Success
from shared_utils.errors import InvalidRequestError
from shared_utils.stage import answer


def noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


TENSOR = noise(1, 6, 256, seed=1)
METADATA = {"pooled_output": None, "reference_latents": [noise(1, 16, 1, 8, 10, seed=2), noise(1, 16, 1, 6, 8, seed=3)]}
LATENT = noise(1, 16, 1, 8, 8, seed=4)

CONDITIONING = {
    "a list of pairs": [[TENSOR, METADATA]],
    "one pair": [TENSOR, METADATA],
    "a tuple of tuples": ((TENSOR, METADATA),),
    "one pair as a tuple": (TENSOR, METADATA),
}
LATENTS = {"a tensor": LATENT, "four dimensions": LATENT.squeeze(2), "a dict": {"samples": LATENT}}


@pytest.fixture
def on_miniatures(stages: Any, model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sampling:
    """`sample_latent` uses the models that the tests have loaded."""
    stage = Sampling(Config(model_dir=model_dir, output_dir=str(tmp_path)), stages.models)
    monkeypatch.setattr(service, "_default_stage", lambda: stage)
    return stage


@pytest.fixture
def expected(on_miniatures: Sampling) -> torch.Tensor:
    return sample([[TENSOR, METADATA]], {"samples": LATENT})


def sample(positive: Any, latent: Any, **others: Any) -> torch.Tensor:
    result = sample_latent(positive, positive, latent, seed=5, steps=2, denoise=0.6, save_tensor=False, **others)
    assert result["sampled_latent_path"] is None
    assert result["sampled_latent_shape"] == tuple(result["sampled_latent_tensor"].shape)
    tensor: torch.Tensor = result["sampled_latent_tensor"]
    return tensor


@pytest.mark.parametrize("form", CONDITIONING)
def test_conditioning_in_memory(form: str, expected: torch.Tensor) -> None:
    assert torch.equal(sample(CONDITIONING[form], LATENT), expected)


@pytest.mark.parametrize("form", LATENTS)
def test_latent_in_memory(form: str, expected: torch.Tensor) -> None:
    assert torch.equal(sample([[TENSOR, METADATA]], LATENTS[form]), expected)


@pytest.mark.parametrize("form", CONDITIONING)
@pytest.mark.parametrize("latent_form", LATENTS)
def test_files(form: str, latent_form: str, expected: torch.Tensor, tmp_path: Path) -> None:
    torch.save(CONDITIONING[form], tmp_path / "conditioning.pt")
    torch.save(LATENTS[latent_form], tmp_path / "latent.pt")
    assert torch.equal(sample(str(tmp_path / "conditioning.pt"), str(tmp_path / "latent.pt")), expected)


def test_a_bare_tensor_samples_without_references_and_warns(
    expected: torch.Tensor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING", logger="vtryon.sampling"):
        bare = sample(TENSOR, LATENT)
    assert torch.equal(bare, sample([TENSOR, {}], LATENT))
    assert not torch.equal(bare, expected)
    assert "will not see the garment" in caplog.text


def test_the_function_saves_what_it_returns(on_miniatures: Sampling, tmp_path: Path) -> None:
    result = sample_latent([TENSOR, METADATA], None, LATENT, seed=5, steps=1, request_id="mine")
    assert result["sampled_latent_path"] == str(tmp_path / "sampled_latent_mine.pt")
    saved = torch.load(result["sampled_latent_path"], weights_only=True)
    assert torch.equal(saved["samples"], result["sampled_latent_tensor"])


def test_the_function_takes_the_models_by_name(on_miniatures: Sampling) -> None:
    with pytest.raises(UNETModelNotFoundError, match=r"other\.safetensors"):
        sample_latent(TENSOR, None, LATENT, unet_model_name="other.safetensors")


def test_the_function_checks_its_parameters(on_miniatures: Sampling) -> None:
    with pytest.raises(InvalidRequestError, match="steps"):
        sample_latent(TENSOR, None, LATENT, steps=0)


def test_a_random_seed_is_told_and_can_be_used_again(on_miniatures: Sampling) -> None:
    first = sample_latent([TENSOR, METADATA], None, LATENT, steps=1, save_tensor=False)
    again = sample_latent([TENSOR, METADATA], None, LATENT, steps=1, seed=first["metadata"]["seed"], save_tensor=False)
    other = sample_latent([TENSOR, METADATA], None, LATENT, steps=1, save_tensor=False)
    assert torch.equal(first["sampled_latent_tensor"], again["sampled_latent_tensor"])
    assert other["metadata"]["seed"] != first["metadata"]["seed"]


def test_at_cfg_1_the_negative_encoding_is_not_read(on_miniatures: Sampling, tmp_path: Path) -> None:
    torch.save([[TENSOR, METADATA]], tmp_path / "positive.pt")
    torch.save([[-TENSOR, METADATA]], tmp_path / "negative.pt")
    torch.save(LATENT, tmp_path / "latent.pt")
    fields = {"positive_encoding": str(tmp_path / "positive.pt"), "latent_image": str(tmp_path / "latent.pt")}
    results = []
    for negative in ({}, {"negative_encoding": str(tmp_path / "negative.pt")}):
        response = answer(on_miniatures, fields | negative | {"seed": 5, "steps": 2})
        assert isinstance(response, Success), response
        results.append(torch.load(response.sampled_latent_path, weights_only=True)["samples"])  # type: ignore[attr-defined]
    assert torch.equal(*results)
