"""`make triton`: it says where it listens, ends when it is told to, and says so when the server has ended."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from shared_utils.ports import free_port
from tests.conftest import ROOT
from tests.triton.support import environment

pytestmark = pytest.mark.triton


@contextmanager
def served(folder: Path, model_dir: Path) -> Iterator[subprocess.Popen[str]]:
    names = ("--http-port", "--grpc-port", "--metrics-port")
    ports = [word for name in names for word in (name, str(free_port()))]
    running = subprocess.Popen(
        [sys.executable, ROOT / "scripts" / "serve_triton.py", "--output", folder, *ports],
        env=environment(model_dir),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with running:
        try:
            yield running
        finally:
            running.kill()


def until_ready(running: subprocess.Popen[str]) -> str:
    """What it prints of how to try it."""
    assert running.stdout
    said = ""
    for line in running.stdout:
        said += line
        if "/metrics" in line:
            return said
    pytest.fail(f"it ended:\n{said}")


def test_it_serves_until_it_is_told_to_end(model_dir: Path, tmp_path: Path) -> None:
    with served(tmp_path, model_dir) as running:
        said = until_ready(running)
        for url in re.findall(r"^  curl (\S+)$", said, re.MULTILINE):
            assert httpx.get(url, timeout=30).status_code == 200, url
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0


def test_it_says_when_the_server_has_ended(model_dir: Path, tmp_path: Path) -> None:
    with served(tmp_path, model_dir) as running:
        until_ready(running)
        (server,) = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        subprocess.run(["kill", "-9", server], check=True)
        assert running.wait(60) == 1
        assert running.stdout
        assert "The Triton server ended with -9. Its log: " in running.stdout.read()
