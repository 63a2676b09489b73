"""A stage that is counted: every attempt, every node, and the models that it holds."""

from pathlib import Path
from typing import Any

import pytest

from shared_utils.comfy.loader import Loaded
from shared_utils.comfy.progress import running
from shared_utils.contracts import OutputOptions, Request, Success
from shared_utils.errors import OutOfMemoryError
from shared_utils.measured import NO_MODEL, Measured
from shared_utils.stage import answer
from shared_utils.telemetry.metrics import StageMetrics
from shared_utils.telemetry.reuse import looked_for
from tests.shared_utils.telemetry.test_metrics import values


class Sampler(Request):
    unet_model_name: str | None = None


class Held:
    """What holds the models of a stage."""

    def __init__(self) -> None:
        self.held: list[Loaded] = []

    def glance(self) -> list[Loaded]:
        return self.held


class Stage:
    name, verb, request_type, response_type, options = "sampling", "sample", Sampler, Success, OutputOptions()

    def __init__(self) -> None:
        self.models: Any = Held()
        self.failing: Exception | None = None

    def warm_up(self) -> None:
        with running("UNETLoader"):
            self.models.held = [Loaded("diffusion model", Path("unet"), 10, False)]

    def run(self, request: Sampler) -> Success:
        looked_for.tell("VAE", self.failing is None)
        with running("KSampler"):
            if self.failing:
                raise self.failing
        return Success.to(request)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def metrics() -> StageMetrics:
    return StageMetrics("sampling", lambda: True)


def test_attempts_nodes_and_models(stage: Stage, metrics: StageMetrics) -> None:
    measured = Measured(stage, metrics)
    measured.warm_up()
    answer(measured, {"unet_model_name": "unet.safetensors"})
    answer(measured, {})
    stage.failing = OutOfMemoryError("no")
    answer(measured, {"unet_model_name": "there is none"})
    stage.failing = ValueError("a defect")
    answer(measured, {})
    found = values(metrics)
    assert found["vtryon_attempts_total", "success", "sampling"] == 2
    assert found["vtryon_attempts_total", "OUT_OF_MEMORY", "sampling"] == 1
    assert found["vtryon_attempts_total", "INTERNAL_ERROR", "sampling"] == 1
    assert found["vtryon_step_seconds_count", "unet.safetensors", "sampling"] == 1
    assert found["vtryon_step_seconds_count", NO_MODEL, "sampling"] == 1
    assert found["vtryon_node_seconds_count", "KSampler", "sampling"] == 4
    assert found["vtryon_node_seconds_count", "UNETLoader", "sampling"] == 1
    assert found["vtryon_reuse_total", "yes", "sampling", "VAE"] == 2
    assert found["vtryon_reuse_total", "no", "sampling", "VAE"] == 2
    assert found["vtryon_models_bytes", "diffusion model"] == 10
    assert not [key for key in found if "there is none" in key]


def test_what_never_began_is_no_attempt(stage: Stage, metrics: StageMetrics) -> None:
    answer(Measured(stage, metrics), {"request_id": "../x"})
    assert values(metrics)["vtryon_attempts_total", "success", "sampling"] == 0
