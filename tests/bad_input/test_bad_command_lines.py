"""The same through the real command line: the answer alone on stdout, and an exit code that tells the three apart.

A process takes seconds to start, so this is a handful; all else is tested in process.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bad_input.conftest import Good, Payload
from tests.conftest import ROOT


def run(service: str, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / service / "main.py"), *flags]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=os.environ | environment, stdin=subprocess.DEVNULL
    )


def check_error(done: subprocess.CompletedProcess[str], code: str, *culprits: str) -> None:
    """Exit code 1, one JSON object on stdout and nothing else, and no traceback for the user to read."""
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["error_code"]) == ("error", code)
    assert [culprit for culprit in culprits if culprit not in answer["error_message"]] == []
    assert "Traceback" not in done.stderr
    assert not [path for path in Path.cwd().rglob("*") if path.is_file()]


def test_missing_picture() -> None:
    done = run("latent_encoder", "--mode", "standalone", "--image_path", "missing.png", "--output-dir", "out")
    check_error(done, "IMAGE_NOT_FOUND", "missing.png")


def test_wrong_value(good: Good) -> None:
    flags = ["--mode=standalone", f"--image1_path={good.picture}", f"--image2_path={good.picture}", "--megapixels=nan"]
    check_error(run("text_encoder", *flags), "INVALID_REQUEST", "megapixels='nan'")


def test_code_in_a_tensor(good: Good, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    file = tmp_path_factory.mktemp("code") / "code.pt"
    payload = Payload(tmp_path / "mark")
    payload.save(file)
    payload.check_that_it_would_run(file)
    done = run("sampling", "--positive_encoding", str(file), "--latent_image", good.latent)
    check_error(done, "INPUT_TENSOR_INVALID", str(file))
    assert not payload.mark.exists()


def test_unknown_model(good: Good, model_dir: Path) -> None:
    """Here ComfyUI is started, which prints a lot."""
    flags = ["--mode", "standalone", "--latent_path", good.latent, "--vae_model_name", "pixel_space"]
    done = run("decoding", *flags, MODEL_DIR=str(model_dir))
    check_error(done, "VAE_MODEL_NOT_FOUND", "pixel_space")


def test_file_name_that_leads_out(good: Good) -> None:
    done = run("decoding", "--mode", "standalone", "--latent_path", good.latent, "--output_filename", "../x.png")
    check_error(done, "PATH_NOT_ALLOWED", "../x.png")


def test_bytes_that_are_no_text() -> None:
    """As a file name of another encoding would bring them."""
    no_text = os.fsdecode(b"\xff")
    done = run("decoding", "--latent_path", f"{no_text}.pt", "--request_id", no_text)
    check_error(done, "INVALID_REQUEST", "latent_path", "request_id")


@pytest.mark.parametrize(
    ("service", "flags", "culprit"),
    [
        ("latent_encoder", ["--mode", "standalone", "--image_path", "x.png", "--colour", "green"], "--colour"),
        ("decoding", ["--mode", "standalone"], "--latent_path"),
    ],
)
def test_wrong_usage(service: str, flags: list[str], culprit: str) -> None:
    done = run(service, *flags)
    assert done.returncode == 2
    assert done.stdout == ""
    assert culprit in done.stderr
    assert "Traceback" not in done.stderr
