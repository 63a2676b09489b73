"""The sampler shows the picture forming: small, not too often, and without a change to the result."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from shared_utils.comfy import progress
from shared_utils.comfy.progress import MOST_PREVIEW_BYTES, MOST_PREVIEWS, PREVIEW_SIDE, Step, watched_by
from shared_utils.contracts import Success
from shared_utils.stage import answer
from tests.conftest import Stages


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Any]:
    """A picture of 1,600 x 960: its latent is wider than a preview may be."""
    random = torch.Generator().manual_seed(1)
    references = [torch.randn(1, 16, 1, 8, 10, generator=random)]
    conditioning = [[torch.randn(1, 6, 256, generator=random), {"reference_latents": references}]]
    torch.save(conditioning, tmp_path / "positive.pt")
    torch.save(torch.zeros(1, 16, 1, 120, 200), tmp_path / "latent.pt")
    return {
        "positive_encoding": str(tmp_path / "positive.pt"),
        "latent_image": str(tmp_path / "latent.pt"),
        "output_dir": str(tmp_path),
        "seed": 5,
    }


def sampled(stages: Stages, inputs: dict[str, Any]) -> tuple[torch.Tensor, list[Step]]:
    heard: list[Step] = []
    response = answer(stages.sampling, inputs, heard.append)
    assert isinstance(response, Success), response
    latent: torch.Tensor = torch.load(response.sampled_latent_path, weights_only=True)["samples"]  # type: ignore[attr-defined]
    return latent, heard


def test_every_step_of_few_has_a_small_picture(stages: Stages, inputs: dict[str, Any]) -> None:
    _, heard = sampled(stages, inputs | {"steps": 4})
    assert [step.done for step in heard if step.preview] == [1, 2, 3, 4]
    for step in heard:
        if step.preview is not None:
            assert len(step.preview) <= MOST_PREVIEW_BYTES
            with Image.open(BytesIO(step.preview), formats=["JPEG"]) as picture:
                assert picture.size == (PREVIEW_SIDE, 96)


def test_of_many_steps_some_have_one(stages: Stages, inputs: dict[str, Any]) -> None:
    _, heard = sampled(stages, inputs | {"steps": 20})
    shown = [step.done for step in heard if step.preview]
    assert len(shown) == MOST_PREVIEWS
    assert shown[-1] == 20


def test_nothing_changes_by_it(stages: Stages, inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with_previews, _ = sampled(stages, inputs | {"steps": 2})
    args = stages.models.comfy.module("comfy.cli_args").args
    monkeypatch.setattr(args, "preview_method", type(args.preview_method).NoPreviews)
    without, heard = sampled(stages, inputs | {"steps": 2})
    assert not any(step.preview for step in heard)
    assert torch.equal(with_previews, without)


def test_one_that_would_be_too_large_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Step] = []
    monkeypatch.setattr(progress, "MOST_PREVIEW_BYTES", 10)
    with watched_by(heard.append):
        progress.comfy_hook(1, 4, ("JPEG", Image.new("RGB", (8, 8)), 512))
    assert heard == [Step("", 1, 4)]
