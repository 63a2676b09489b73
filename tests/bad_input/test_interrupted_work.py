"""Work that is stopped, by a person or by a defect, leaves nothing behind, and the stage goes on with the next."""

import logging
from collections.abc import Callable
from typing import Any, Never

import pytest
import torch

from shared_utils.comfy.progress import Step
from shared_utils.errors import CancelledError
from tests.bad_input.conftest import Answered, Refused
from tests.conftest import Stages


class Stop:
    """A watcher that notes every step and stops the job at one of them."""

    def __init__(self, at: Callable[[Step], bool]) -> None:
        self.at = at
        self.seen: list[Step] = []

    def __call__(self, step: Step) -> None:
        self.seen.append(step)
        if self.at(step):
            raise CancelledError(f"Stopped at {step.node} {step.done}.")


def sampled(answered: Answered, stages: Stages) -> torch.Tensor:
    response = answered(stages.sampling, steps=4, seed=3, request_id="whole")
    tensor: torch.Tensor = torch.load(response.sampled_latent_path, weights_only=True)["samples"]
    return tensor


def test_sampler_stops_at_the_step_and_the_next_request_is_whole(
    stages: Stages, refused: Refused, answered: Answered
) -> None:
    expected = sampled(answered, stages)
    stop = Stop(lambda step: step.node == "KSampler" and step.done == 2)
    failure = refused(stages.sampling, "CANCELLED", "KSampler 2", watcher=stop, steps=4, seed=3)
    assert not failure.retryable
    assert [step.done for step in stop.seen if step.node == "KSampler" and step.total] == [1, 2]
    assert {step.total for step in stop.seen if step.node == "KSampler"} == {0, 4}
    assert torch.equal(sampled(answered, stages), expected)


@pytest.mark.parametrize(
    ("stage", "node"),
    [
        ("latent_encoder", "LoadImage"),
        ("latent_encoder", "ImageScaleToTotalPixels"),
        ("latent_encoder", "VAEEncode"),
        ("latent_encoder", "SaveImage"),
        ("text_encoder", "LoadImage"),
        ("text_encoder", "TextEncodeQwenImageEditPlus"),
        ("sampling", "CFGNorm"),
        ("sampling", "KSampler"),
        ("decoding", "VAEDecode"),
        ("decoding", "SaveImage"),
    ],
)
def test_stops_before_any_node(stages: Stages, refused: Refused, stage: str, node: str) -> None:
    stop = Stop(lambda step: step.node == node)
    # A model that was patched before is not patched again.
    changes = {"shift": 2.25} if node == "CFGNorm" else {}
    refused(getattr(stages, stage), "CANCELLED", node, watcher=stop, **changes)
    assert stop.seen[-1] == Step(node)


def test_cancelled_while_a_model_is_loaded(fresh_stages: Stages, refused: Refused, answered: Answered) -> None:
    """What was not loaded to the end is not taken for loaded."""
    refused(fresh_stages.decoding, "CANCELLED", watcher=Stop(lambda step: step.node == "VAELoader"))
    assert not fresh_stages.models.loaded()
    answered(fresh_stages.decoding)


def divide_by_zero(*_: Any) -> Never:
    raise ZeroDivisionError("division by zero\nTraceback (most recent call last):\n  File '/secret.py'")


@pytest.mark.parametrize("stage", ["latent_encoder", "text_encoder", "sampling", "decoding"])
def test_defect(
    stages: Stages, refused: Refused, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stage: str
) -> None:
    """The caller gets a code and one line; the traceback goes into the log."""
    monkeypatch.setattr(type(getattr(stages, stage)), "run", divide_by_zero)
    with caplog.at_level(logging.ERROR, logger="vtryon"):
        failure = refused(getattr(stages, stage), "INTERNAL_ERROR", "ZeroDivisionError", "log", request_id="d1")
    assert failure.request_id == "d1"
    assert "secret" not in failure.error_message
    assert "in divide_by_zero" in caplog.text


def test_out_of_memory(stages: Stages, refused: Refused, answered: Answered, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another job may have had the memory, so this one may be tried again."""

    def full(*_: Any, **__: Any) -> Never:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nGPU 0 has ...")

    with monkeypatch.context() as patched:
        vae = stages.models.vae(stages.decoding.options.vae_model_name)
        patched.setattr(vae, "decode", full)
        failure = refused(stages.decoding, "OUT_OF_MEMORY", "decoding")
    assert failure.retryable
    answered(stages.decoding)
