"""The demo's own parts: its models and its sheet. `.ci/run` runs all of it."""

import subprocess
from pathlib import Path

import demo
import demo_processes
import numpy as np
import pytest
from PIL import Image

from shared_utils.comfy.miniature import Sizes, write_miniatures, write_trained
from shared_utils.comfy.runtime import Comfy
from shared_utils.contracts import VAE


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that would have written models."""
    commands: list[str] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(" ".join(command)))
    return commands


def test_miniatures_are_written_where_none_are(tmp_path: Path, written: list[str]) -> None:
    settings = demo_processes.miniatures_in(tmp_path / "models")
    assert settings == {"MODEL_DIR": str(tmp_path / "models"), "COMFYUI_DTYPE": "fp32"}
    assert [command.partition("models miniature ")[2] for command in written] == [f"--output {tmp_path / 'models'}"]


def test_those_that_are_there_stay(comfy: Comfy, tmp_path: Path, written: list[str]) -> None:
    write_trained(comfy, tmp_path)
    demo_processes.miniatures_in(tmp_path)
    assert not written


def test_random_ones_are_replaced(comfy: Comfy, tmp_path: Path, written: list[str]) -> None:
    write_miniatures(comfy, tmp_path, sizes=Sizes(layers=1, text_layers=1, vision_layers=1, vae_width=2))
    demo_processes.miniatures_in(tmp_path)
    assert len(written) == 1


def test_somebodys_own_models_stay(tmp_path: Path, written: list[str]) -> None:
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / VAE).write_bytes(b"somebody's")
    demo_processes.miniatures_in(tmp_path)
    assert not written


def test_the_sheet_shows_every_result(tmp_path: Path) -> None:
    for number, name in enumerate(demo.GARMENTS):
        Image.new("RGB", (408, 632), (number, 0, 0)).save(tmp_path / name)
    demo.write_sheet(tmp_path)
    with Image.open(tmp_path / demo.SHEET) as sheet:
        pixels = np.asarray(sheet)
    for number in range(len(demo.GARMENTS)):
        assert (pixels == (number, 0, 0)).all(axis=2).sum() > 100_000
