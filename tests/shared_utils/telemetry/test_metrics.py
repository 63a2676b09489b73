"""Metrics: bounded labels, and what is there before anything has happened."""

import sys
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared_utils.telemetry.metrics import MOST_CODES, MOST_MODELS, OTHER, DeadLetters, Metrics, StageMetrics


def values(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Each sample by its name and its labels' values, in the order of the labels' names."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def made() -> StageMetrics:
    metrics = StageMetrics("sampling", lambda: True)
    metrics.serves("sampling")
    return metrics


def test_what_has_not_happened_is_told_as_zero() -> None:
    found = values(made())
    for name in ("vtryon_requests_total", "vtryon_attempts_total"):
        assert found[name, "success", "sampling"] == 0
    assert found["vtryon_retries_total", "sampling"] == 0
    assert found["vtryon_requests_in_progress", "sampling"] == 0
    assert found["vtryon_ready",] == 1
    assert found["process_resident_memory_bytes",] > 1e6


def test_anybody_can_write_an_error_code() -> None:
    metrics = made()
    letters = DeadLetters(metrics)
    for number in range(MOST_CODES + 50):
        metrics.answered("sampling", f"CODE_{number}", 1.0)
        letters.put_aside("sampling-requests-dlq", f"CODE_{number}")
    for hostile in ("", "no code", 'x"\n', "A" * 5000):
        metrics.answered("sampling", hostile)
    found = values(metrics)
    codes = {key[1] for key in found if key[0] == "vtryon_requests_total"}
    assert len(codes) == MOST_CODES + 2  # success and other
    assert found["vtryon_requests_total", OTHER, "sampling"] == 50 + 4
    assert found["vtryon_dead_letters_total", OTHER, "sampling-requests-dlq"] == 50


def test_names_of_models_are_bounded() -> None:
    metrics = made()
    for number in range(MOST_MODELS + 5):
        metrics.worked("sampling", f"model{number}.safetensors", 2.0)
    found = values(metrics)
    assert found["vtryon_step_seconds_count", OTHER, "sampling"] == 5
    assert found["vtryon_step_seconds_sum", "model0.safetensors", "sampling"] == 2


def test_a_model_that_was_let_go_is_gone() -> None:
    metrics = made()
    metrics.hold([("VAE", 10), ("LoRA", 3), ("LoRA", 4)])
    metrics.hold([("VAE", 20)])
    found = values(metrics)
    assert (found["vtryon_models_loaded", "VAE"], found["vtryon_models_bytes", "VAE"]) == (1, 20)
    assert (found["vtryon_models_loaded", "LoRA"], found["vtryon_models_bytes", "LoRA"]) == (0, 0)


def test_two_in_a_process_count_for_themselves() -> None:
    first, second = made(), made()
    first.retried("sampling")
    assert values(second)["vtryon_retries_total", "sampling"] == 0


class Cuda:
    """Stands for torch.cuda of a machine with two GPUs."""

    def __init__(self, begun: bool) -> None:
        self.is_initialized = lambda: begun
        self.asked: list[int] = []

    def device_count(self) -> int:
        return 2

    def mem_get_info(self, number: int) -> tuple[int, int]:
        self.asked.append(number)
        return 30, 100 + number

    def memory_reserved(self, number: int) -> int:
        return 7


def test_gpus_are_told_of_once_cuda_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(begun=True)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    found = values(made())
    assert found["vtryon_gpu_memory_used_bytes", "1"] == 71
    assert found["vtryon_gpu_memory_total_bytes", "1"] == 101
    assert found["vtryon_gpu_memory_reserved_bytes", "0"] == 7


def test_asking_does_not_start_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(begun=False)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert not [key for key in values(made()) if key[0].startswith("vtryon_gpu")]
    assert cuda.asked == []
    monkeypatch.delitem(sys.modules, "torch")
    assert not [key for key in values(made()) if key[0].startswith("vtryon_gpu")]
    assert "torch" not in sys.modules
