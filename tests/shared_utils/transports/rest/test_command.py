"""`--mode rest` as it is typed: processes, signals, exit codes."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import torch

from shared_utils.transports.rest.command import rest_settings
from tests.shared_utils.transports.rest.door import Caller
from tests.shared_utils.transports.rest.stand_in import SOON

ROOT = Path(__file__).resolve().parents[4]
HELD = """
import sys
from shared_utils.telemetry.logs import start_logging
from shared_utils.transports.rest.command import run_rest
from tests.shared_utils.transports.rest.stand_in import StandIn

start_logging("INFO", "text")
sys.exit(run_rest(StandIn(held=True), ["--port", "0"]))
"""
"""A process whose one job never ends."""


@contextmanager
def started(*flags: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with running("-m", "decoding", "--mode", "rest", *flags, **environment) as process:
        yield process


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, *arguments]
    values = os.environ | {"COMFYUI_DEVICE": "cpu", "COMFYUI_ATTENTION": "pytorch"} | environment
    with subprocess.Popen(command, env=values, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str], pattern: str) -> str:
    """Read the log up to there."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(pattern, line):
            return found[0]
    pytest.fail(f"it ended without saying {pattern!r}")


def rest_of(process: subprocess.Popen[str]) -> str:
    log = process.communicate(timeout=SOON)[1]
    assert "Traceback" not in log, log
    return log


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_from_the_start_to_the_end(model_dir: Path, tmp_path: Path, how: signal.Signals) -> None:
    torch.save(torch.zeros(1, 16, 1, 8, 8), tmp_path / "latent.pt")
    with started("--port", "0", MODEL_DIR=str(model_dir)) as process:
        base = said(process, r"http://127\.0\.0\.1:\d+")
        assert httpx.get(f"{base}/health/live").status_code == 200
        # What is asked before the models are loaded waits for them.
        fields = {"latent_path": "latent.pt", "request_id": "r1", "correlation_id": "c1"}
        answer = httpx.post(f"{base}/v1/decode", json=fields, timeout=SOON)
        assert answer.status_code == 200, answer.text
        assert Path(answer.json()["image_path"]).is_file()
        assert httpx.get(f"{base}/health/ready").status_code == 200
        process.send_signal(how)
        log = rest_of(process)
        assert process.returncode == 0, log
        assert "[stage=decoding request_id=r1 correlation_id=c1]" in log


def test_a_second_ctrl_c_ends_it_at_once() -> None:
    with running("-c", HELD, PYTHONPATH=str(ROOT)) as process:
        port = int(said(process, r"http://127\.0\.0\.1:\d+").rpartition(":")[2])
        with Caller(port) as caller:
            caller.ask("/v1/do", {"text": "endless"})
            said(process, "started")
            process.send_signal(signal.SIGINT)
            said(process, "stopping")
            process.send_signal(signal.SIGINT)
            rest_of(process)
    assert process.returncode == 130


def test_models_that_are_missing(tmp_path: Path) -> None:
    with started("--port", "0", MODEL_DIR=str(tmp_path)) as process:
        log = rest_of(process)
    assert process.returncode == 1
    assert "VAE_MODEL_NOT_FOUND: No VAE qwen_image_vae.safetensors in" in log


@pytest.mark.parametrize(
    ("flags", "environment", "complaint"),
    [
        (["--port", "http"], {}, "REST_PORT='http' is not usable"),
        (["--port", "65536"], {}, "REST_PORT='65536' is not usable"),
        ([], {"REST_QUEUE": "-1"}, "REST_QUEUE='-1' is not usable"),
        (["--request-topic", "x"], {}, "unrecognized arguments"),
    ],
    ids=str,
)
def test_wrong_usage(
    flags: list[str],
    environment: dict[str, str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        rest_settings("decoding", ["--mode", "rest", *flags])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_flags_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REST_HOST", "::1")
    monkeypatch.setenv("REST_PORT", "1")
    given = rest_settings("decoding", ["--mode", "rest", "--port", "2"])
    assert (given.rest_host, given.rest_port) == ("::1", 2)
