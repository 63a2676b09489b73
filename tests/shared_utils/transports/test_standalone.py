"""Each stage from the command line, as a process: JSON alone on stdout, logs on stderr, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parents[3]


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env=os.environ | {"COMFYUI_ATTENTION": "pytorch"} | environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def flags(**fields: Any) -> list[str]:
    return [text for name, value in fields.items() for text in (f"--{name}", str(value))]


def test_the_chain_as_it_is_typed(model_dir: Path, examples: Path, tmp_path: Path) -> None:
    """From another folder, by script and by module, with flags in both spellings and settings from the environment."""
    person, garment = examples / "person_masked.png", examples / "garment.png"
    common = flags(output_dir="out", request_id="r1")

    def ask(*command: str) -> dict[str, Any]:
        done = run(*command, cwd=tmp_path, MODEL_DIR=str(model_dir), MEGAPIXELS="0.02")
        assert done.returncode == 0, done.stderr
        assert "finished" in done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        assert answer["status"] == "success"
        assert answer["request_id"] == "r1"
        return answer

    latent = ask(
        str(ROOT / "latent_encoder/main.py"),
        *flags(mode="standalone", image_path=person, vae_model_name="qwen_image_vae.safetensors"),
        *common,
    )
    assert latent["latent_file_path"] == str(tmp_path / "out" / "latent_r1.pt")
    assert latent["metadata"]["scaled_image_shape"] == [180, 117, 3]
    encoded = ask(
        "-m", "text_encoder", f"--image1-path={person}", f"--image2-path={garment}", "--encode-negative=no", *common
    )
    assert encoded["negative_encoding_path"] is None
    sampled = ask(
        str(ROOT / "sampling/main.py"),
        *flags(
            positive_encoding=encoded["positive_encoding_path"], latent_image="out/latent_r1.pt", seed=12345, steps=1
        ),
        *common,
    )
    assert sampled["metadata"]["seed"] == 12345
    decoded = ask(
        "-m",
        "decoding",
        *flags(latent_path=sampled["sampled_latent_path"], output_filename="it.jpg", quality=80),
        *common,
    )
    assert Path(decoded["image_path"]).read_bytes()[:3] == b"\xff\xd8\xff"
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "it.jpg",
        "it.jpg.json",
        "latent_r1.pt",
        "latent_r1.pt.json",
        "positive_r1.pt",
        "positive_r1.pt.json",
        "sampled_latent_r1.pt",
        "sampled_latent_r1.pt.json",
        "scaled_image_r1.png",
    ]


def test_json_lines_on_stderr(model_dir: Path, tmp_path: Path) -> None:
    torch.save(torch.zeros(1, 16, 1, 8, 8), tmp_path / "latent.pt")
    fields = flags(latent_path="latent.pt", request_id="r2", correlation_id="c2")
    done = run("-m", "decoding", *fields, cwd=tmp_path, MODEL_DIR=str(model_dir), LOG_FORMAT="json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    decode = next(line for line in lines if line.get("node") == "VAEDecode")
    assert (decode["request_id"], decode["correlation_id"], decode["level"]) == ("r2", "c2", "INFO")


def test_an_error_is_an_answer_too(tmp_path: Path) -> None:
    done = run(str(ROOT / "latent_encoder/main.py"), *flags(image_path="nowhere.png", request_id="r3"), cwd=tmp_path)
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["error_code"] == "IMAGE_NOT_FOUND"
    assert answer["error_message"] == "Image file not found: nowhere.png"
    assert answer["request_id"] == "r3"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("wrong", [["--no_such_flag", "1"], [], ["--mode", "by pigeon"]], ids=str)
def test_wrong_usage(wrong: list[str], tmp_path: Path) -> None:
    done = run("-m", "decoding", *wrong, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "usage: python decoding/main.py" in done.stderr


def test_a_wrong_setting_stops_the_service_and_names_the_variable(tmp_path: Path) -> None:
    done = run("-m", "decoding", *flags(latent_path="x.pt"), cwd=tmp_path, LOG_LEVEL="LOUD", QUALITY="900")
    assert done.returncode == 2
    assert "LOG_LEVEL='LOUD' is not usable" in done.stderr
    assert "QUALITY='900' is not usable" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("service", ["latent_encoder", "text_encoder", "sampling", "decoding"])
def test_help_explains_every_field(service: str, tmp_path: Path) -> None:
    done = run("-m", service, "--help", cwd=tmp_path, OUTPUT_DIR="from/the/environment")
    assert done.returncode == 0
    assert "(default: from/the/environment)" in " ".join(done.stdout.split())
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  --")]
    assert "--request_id" in listed
    assert "--output_dir" in listed
