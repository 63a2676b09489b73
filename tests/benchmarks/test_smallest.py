"""Each benchmark in its smallest form, as a command: so that none of them rots."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

SECONDS = 3600


def run(folder: Path, name: str, *arguments: str) -> tuple[str, dict[str, Any]]:
    """What it printed, and what it wrote."""
    output = folder / "out.json"
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *arguments, "--output", str(output)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=folder)
    assert ran.returncode == 0, ran.stderr[-3000:] + ran.stdout[-3000:]
    found: dict[str, Any] = json.loads(output.read_text())
    assert found["machine"]["commit"]
    return ran.stdout, found


@pytest.mark.bench
def test_against_the_stock_server(tmp_path: Path) -> None:
    few = ("--megapixels", "0.04", "--steps", "1", "--tries", "1", "--queued", "2", "--rest", "1")
    shown, found = run(tmp_path, "bench", "--smallest", *few, "--scenarios", "new people")
    assert "4 try-ons gave the same pixels on all sides." in shown
    rows = {row["side"]: row for row in found["rows"]}
    assert rows.keys() == {"comfyui", "monolith", "together", "apart"}
    for side, row in rows.items():
        if side == "together":
            assert row["nodes p50 ms"] is None  # both encoders had work
        else:
            assert row["alone p50 ms"] > row["nodes p50 ms"] > 0
        assert row["CPU s"] > 0
        assert row["peak MB"] > 100
    assert found["settings"]["COMFYUI_ATTENTION"] == "pytorch"


def test_the_one_for_gpus_on_a_cpu(tmp_path: Path) -> None:
    few = ("--megapixels", "0.04", "--steps", "1", "--tries", "1", "--queued", "1", "--minutes", "30")
    shown, found = run(tmp_path, "bench_gpu", "--miniature", *few, "--sides", "monolith", "apart")
    assert "3 try-ons gave the same pixels on all sides." in shown
    assert found["found, seconds"]["apart"]["KSampler"] > 0
    assert found["found, seconds"]["apart"]["stages"].keys() == found["floor, seconds"]["stages"].keys()
    assert found["start, seconds"].keys() == {"monolith", "apart"}


@pytest.mark.bench
def test_what_was_tried(tmp_path: Path) -> None:
    few = ("--megapixels", "0.04", "--steps", "1", "--passes", "1", "--no-compile", "--memory", "")
    shown, found = run(tmp_path, "bench_tried", "--smallest", *few)
    assert "COMFYUI_ATTENTION=auto" in shown
    pictures = {row["what"]: row["dB"] for row in found["settings"]}
    assert pictures["as make sets it"] is None
    assert pictures["glibc's allocator as it is"] is None  # it changes no bit
    assert pictures["COMFYUI_DTYPE=bf16"] < 60
    assert [row["what"] for row in found["sampler, each picture"]] == ["alone", "batch 2", "batch 4"]
    assert [row["off"] for row in found["VAE decode"]] == [0, 0]
    assert [row["what"] for row in found["files"]] == ["the temporary folder"]
    assert all(row["ms"] > row["floor ms"] > 0 for row in found["floor"])


def test_memory_without_java(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "worker_memory.py"), "--embedded"]
    few = ("--tryons", "20", "--seconds", "0.1")
    ran = subprocess.run([*command, *few], capture_output=True, text=True, timeout=SECONDS, check=False, cwd=tmp_path)
    # Whether so few leave it flat is chance; the last line says what the exit code does.
    flat = ran.stdout.splitlines()[-1] == "flat"
    assert ran.returncode == (0 if flat else 1), ran.stderr[-3000:] + ran.stdout[-3000:]
    assert ran.stdout.count("at rest") == 2 * len(("worker", "orchestrator"))
    assert f"\n{20:>8}  " in ran.stdout


def test_load_without_java(tmp_path: Path) -> None:
    few = ("--tryons", "12", "--loads", "50", "--growth", "1", "2", "--tryons-each", "6", "--passes", "1")
    curve = tmp_path / "curve.png"
    shown, found = run(tmp_path, "bench_load", "--embedded", "--milliseconds", "20", *few, "--curve", str(curve))
    assert "50 %" in shown
    assert [point["workers"] for point in found["growth"]] == [1, 2]
    assert all(point["cores idle"] >= 0 for point in found["growth"])
    assert found["loads"]["50 %"]["wait, s"]["p99"] >= found["loads"]["50 %"]["wait, s"]["p50"] >= 0
    assert curve.exists()
