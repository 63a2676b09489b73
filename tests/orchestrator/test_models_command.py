"""`vtryon models`: what a person sees."""

from pathlib import Path

import pytest

from orchestrator.cli.main import main
from shared_utils.comfy.runtime import Comfy
from shared_utils.contracts import CLIP, LORA, UNET, VAE


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.cli.main.start_logging", lambda level, form: None)


def test_nothing_there(
    comfy: Comfy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    assert main(["models", "list"]) == 1
    shown = capsys.readouterr().out
    for name in (UNET, CLIP, VAE, LORA):
        assert f"{name} " in shown
    assert shown.count("missing ") == 4
    assert "vtryon models miniature" in shown


def test_all_there_and_one_more(
    comfy: Comfy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "models"))
    assert main(["models", "miniature", "--output", str(tmp_path / "models"), "--random", "--seed", "4"]) == 0
    assert "coloured noise" in capsys.readouterr().out
    (tmp_path / "models" / "vae" / "another.safetensors").write_bytes(b"x")
    assert main(["models", "list"]) == 0
    shown = capsys.readouterr().out
    assert "missing" not in shown
    assert shown.count("(miniature, random weights)") == 4
    assert "another.safetensors" in shown


def test_those_that_are_trained(
    comfy: Comfy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    assert main(["models", "miniature", "--output", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("wrote ") == 4
    assert "a toy that knows only its own drawings" in shown
    assert "vtryon models download" in shown
    assert main(["models", "list"]) == 0
    assert capsys.readouterr().out.count("(miniature, trained on drawings") == 3


def test_a_seed_is_for_random_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "miniature", "--output", str(tmp_path), "--seed", "4"]) == 1
    assert "add --random" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_old_folder_and_extra_paths_are_looked_into(
    comfy: Comfy, model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`clip` is ComfyUI's old name for `text_encoders`."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder in ("diffusion_models", "vae", "loras"):
        (elsewhere / folder).symlink_to(model_dir / folder)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "clip").symlink_to(model_dir / "text_encoders")
    extra = tmp_path / "extra_model_paths.yaml"
    extra.write_text(
        "shop:\n  base_path: elsewhere\n  diffusion_models: diffusion_models\n  vae: vae\n  loras: loras\n"
    )
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "models"))
    assert main(["models", "list"]) == 1
    assert capsys.readouterr().out.count("missing ") == 3
    monkeypatch.setenv("EXTRA_MODEL_PATHS", str(extra))
    assert main(["models", "list"]) == 0


def test_an_output_that_cannot_be_written(comfy: Comfy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["models", "miniature", "--output", str(tmp_path / "file")]) == 1
    assert f"Can't write to {tmp_path / 'file' / 'diffusion_models'}" in capsys.readouterr().err


def test_real_models_are_not_overwritten(comfy: Comfy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = tmp_path / "vae" / VAE
    real.parent.mkdir()
    real.write_bytes(b"twenty gigabytes")
    assert main(["models", "miniature", "--output", str(tmp_path)]) == 1
    assert f"{real} is no miniature" in capsys.readouterr().err
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [real]
    assert real.read_bytes() == b"twenty gigabytes"
