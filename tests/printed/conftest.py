"""A folder like a fresh clone, and a cache whose Kafka is the test's own."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared_utils.settings import cache_dir
from tests.conftest import ROOT

PORTS = (8000, 8001, 8002, 8003, 8004, 8080, 9092, 50050, 50051)
"""Those that the documents name."""
MADE = {"out", "output", "models", ".env"}
"""What a fresh clone does not have."""
LOG_END = 2000

Run = Callable[[str], str]


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


@pytest.fixture
def run(clone: Path, cache: Path) -> Run:
    """Runs a script in the clone, to its end; what it printed. It fails with that and the logs."""

    def ran(script: str) -> str:
        # Otherwise `make` in the clone would set up this checkout's .venv.
        assert subprocess.run(["make", "--question", "setup"], cwd=ROOT, check=False).returncode == 0, (
            "run `make setup`"
        )
        assert not [port for port in PORTS if taken(port)], "the documents' ports must be free"
        running = subprocess.Popen(
            # Whoever runs tests in the background has Ctrl-C ignored, and what they start inherits that.
            ["env", "--default-signal=INT", "bash", "-c", script],
            cwd=clone,
            env={**os.environ, "VTRYON_CACHE": str(cache), "COMFYUI_ATTENTION": "pytorch"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            printed, _ = running.communicate()
        finally:
            kill_session(running.pid)
        logs = "\n".join(f"== {log.name}\n{log.read_text()[-LOG_END:]}" for log in clone.glob("out/*.log"))
        assert running.returncode == 0, f"{printed[-2 * LOG_END :]}\n{logs}"
        return printed

    return ran


def taken(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def kill_session(leader: int) -> None:
    """What the script left: those that serve have groups of their own."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and session_of(entry) == leader:
            try:
                os.kill(int(entry.name), signal.SIGKILL)
            except ProcessLookupError:
                continue


def session_of(process: Path) -> int | None:
    try:
        # After the name, which may hold anything: state, parent, group, session.
        return int((process / "stat").read_text().rpartition(")")[2].split()[3])
    except (FileNotFoundError, ProcessLookupError):
        return None
