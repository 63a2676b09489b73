"""`vtryon triton export-onnx`: what is written, and what a person sees."""

import sys
from pathlib import Path

import onnx
import pytest

from orchestrator.cli.main import main
from shared_utils.comfy.runtime import Comfy
from tests.shared_utils.comfy.vae_onnx import vae_onnx, write_models


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.cli.main.start_logging", lambda level, form: None)


@pytest.fixture(autouse=True)
def _exported_before(comfy: Comfy, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was exported of the VAE of seed 1, whatever VAE it is."""
    monkeypatch.setattr("shared_utils.comfy.onnx.exported", lambda comfy, vae, graph, notes: vae_onnx(comfy)[graph])
    monkeypatch.setenv("MODEL_DIR", "models")


def exported(*flags: str) -> int:
    return main(["triton", "export-onnx", "--output", "onnx", *flags])


def test_both_halves_and_how_near_they_are(comfy: Comfy, capsys: pytest.CaptureFixture[str]) -> None:
    write_models(comfy, Path("models"), seed=1)
    assert exported() == 0
    for name in ("vae_encoder", "vae_decoder"):
        onnx.checker.check_model(Path("onnx", f"{name}.onnx"))
    shown = capsys.readouterr().out
    assert "miniature, random weights" in shown
    assert "vae_encoder   203 x 149  largest difference" in shown
    assert "wrote onnx/vae_decoder.onnx" in shown
    assert "vtryon triton build --onnx onnx" in shown


def test_what_is_too_far_off_is_not_written(comfy: Comfy, capsys: pytest.CaptureFixture[str]) -> None:
    write_models(comfy, Path("models"), seed=2)
    assert exported() == 1
    assert "vae_encoder differs from ComfyUI's node by" in capsys.readouterr().err
    assert not Path("onnx").exists()


def test_a_vae_that_is_not_there(comfy: Comfy, capsys: pytest.CaptureFixture[str]) -> None:
    assert exported("--vae-model-name", "other.safetensors") == 1
    assert "No VAE other.safetensors" in capsys.readouterr().err


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert exported() == 1
    assert (
        "onnxruntime is not installed: to export to ONNX, pip install 'vtryon[stages,onnx]'" in capsys.readouterr().err
    )
