"""scripts/build_tensorrt.sh: what it has trtexec do. No test here runs TensorRT."""

import os
import subprocess
from pathlib import Path

import pytest

from shared_utils.comfy.graphs import GRAPHS
from shared_utils.transports.triton.onnx import configuration
from tests.conftest import ROOT
from tests.shared_utils.transports.triton.configs import read

SCRIPT = ROOT / "scripts" / "build_tensorrt.sh"
STAND_IN = """#!/bin/sh
for flag in "$@"; do
    case $flag in --saveEngine=*) echo "a plan" > "${flag#*=}" ;; esac
done
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the VAE in it."""
    folder = tmp_path / "triton repository"
    for graph in GRAPHS:
        (folder / graph.name / "1").mkdir(parents=True)
        (folder / graph.name / "1" / "model.onnx").touch()
        (folder / graph.name / "config.pbtxt").write_text(configuration(graph))
    return folder


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *map(str, arguments)],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def files(folder: Path) -> dict[Path, str]:
    return {file: file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_a_dry_run_prints_the_commands(repository: Path) -> None:
    before = files(repository)
    done = run("--dry-run", repository, OPT_SIZE="1280x720")
    assert (done.returncode, done.stderr) == (0, "")
    encoder, decoder = (line for line in done.stdout.splitlines() if line.startswith("trtexec "))
    assert "--minShapes=pixels:1x256x256x3 --optShapes=pixels:1x1280x720x3 --maxShapes=pixels:1x1536x1536x3" in encoder
    assert (
        "--minShapes=latent:1x16x1x32x32 --optShapes=latent:1x16x1x160x90 --maxShapes=latent:1x16x1x192x192" in decoder
    )
    assert files(repository) == before


def test_the_shapes_are_those_of_the_models(repository: Path) -> None:
    shown = run("--dry-run", repository).stdout
    for graph in GRAPHS:
        (line,) = (line for line in shown.splitlines() if "trtexec" in line and graph.name in line)
        name, _, shape = line.split("--minShapes=")[1].split()[0].partition(":")
        assert name == graph.input.name
        sizes = [int(size) for size in shape.split("x")]
        fixed = [size for size in graph.input.dims if isinstance(size, int)]
        assert [size for size, dim in zip(sizes, graph.input.dims, strict=True) if isinstance(dim, int)] == fixed


def test_triton_serves_the_plans(repository: Path, tmp_path: Path) -> None:
    trtexec = tmp_path / "trtexec"
    trtexec.write_text(STAND_IN)
    trtexec.chmod(0o755)
    done = run(repository, TRTEXEC=str(trtexec))
    assert (done.returncode, done.stderr) == (0, "")
    for graph in GRAPHS:
        assert (repository / graph.name / "1" / "model.plan").read_text() == "a plan\n"
        assert read((repository / graph.name / "config.pbtxt").read_text()).platform == "tensorrt_plan"


def test_what_is_missing_is_named(repository: Path, tmp_path: Path) -> None:
    without = run(repository, PATH="/usr/bin:/bin", TRTEXEC=str(tmp_path / "none"))
    assert (without.returncode, "TensorRT" in without.stderr) == (1, True)
    elsewhere = run("--dry-run", tmp_path / "elsewhere")
    assert (elsewhere.returncode, "vtryon triton export-onnx" in elsewhere.stderr) == (1, True)


@pytest.mark.parametrize("size", ["1000x1001", "1024", "x", "0x8", "1024x1024x3"])
def test_a_size_that_is_none(repository: Path, size: str) -> None:
    done = run("--dry-run", repository, MAX_SIZE=size)
    assert done.returncode == 1
    assert size in done.stderr
    assert done.stdout == ""
