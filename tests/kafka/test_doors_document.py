"""docs/API_MULTI_PROTOCOL.md, run as it is printed: in a folder like a fresh clone, on an Apache Kafka of its own."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared_utils.settings import cache_dir
from tests.conftest import ROOT

pytestmark = pytest.mark.kafka

DOCUMENT = ROOT / "docs" / "API_MULTI_PROTOCOL.md"
PORTS = (8000, 8080, 9092, 50050, 50051)
MADE = {"out", "output", "models", ".env"}
"""What a fresh clone does not have."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "vtryon"
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in MADE:
            (folder / entry.name).symlink_to(entry)
    (folder / "out").mkdir()
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    """The user's cache, but for Kafka's data."""
    folder = tmp_path / "cache"
    (folder / "kafka").mkdir(parents=True)
    for entry in [*cache_dir().iterdir(), *(cache_dir() / "kafka").iterdir()]:
        if entry.name not in ("kafka", "data"):
            (folder / entry.relative_to(cache_dir())).symlink_to(entry)
    yield folder
    # Whatever became of the script, its Kafka is not left running.
    command = [str(ROOT / ".venv" / "bin" / "vtryon"), "kafka", "stop"]
    subprocess.run(command, env={**os.environ, "VTRYON_CACHE": str(folder)}, check=True, capture_output=True)


def script() -> str:
    """Every block of commands and of Python, in their order."""
    lines = ["set -eo pipefail"]
    for language, block in re.findall(r"^```(sh|python)\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL):
        lines.append(block if language == "sh" else f"python - <<'END_OF_PYTHON'\n{block}END_OF_PYTHON\n")
    return "\n".join(lines)


def taken(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_as_printed(clone: Path, cache: Path, apache_kafka: object) -> None:
    assert not [port for port in PORTS if taken(port)], "the document's ports must be free"
    environment = {**os.environ, "VTRYON_CACHE": str(cache), "COMFYUI_ATTENTION": "pytorch"}
    running = subprocess.Popen(
        ["bash", "-c", script()],
        cwd=clone,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = running.communicate()
    finally:
        kill_group(running.pid)
    logs = "\n".join(f"== {log.name}\n{log.read_text()[-2000:]}" for log in clone.glob("out/*.log"))
    assert running.returncode == 0, f"{printed[-4000:]}\n{logs}"
    assert printed.count("is the same") == 5, printed
    assert printed.count("identical, bit for bit") == 3, printed


def kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
