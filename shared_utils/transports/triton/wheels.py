"""NVIDIA's Triton server out of a package index: the wheel of nvidia-pytriton carries it, with its Python backend and a
stub for each Python. Fetched once into the cache, checked, unpacked; nothing is installed into this Python.

The stub of this release can't read numpy 2, so a numpy of the line before it comes along, which only the server sees.
"""

import hashlib
import logging
import platform
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared_utils.errors import VtryonError
from shared_utils.settings import cache_dir, one_process_at_a_time

log = logging.getLogger("vtryon.triton")

VERSION = "2.51.0"
DOWNLOAD_SECONDS = 900
EXECUTABLES = ("tritonserver", "triton_python_backend_stub")


@dataclass(frozen=True)
class Wheel:
    requirement: str
    sha256: str
    megabytes: int


SERVER = Wheel("nvidia-pytriton==0.7.0", "21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df", 55)
NUMPY = {
    (3, 11): Wheel("numpy==1.26.4", "666dbfb6ec68962c033a450943ded891bed2d54e6755e35e5835d63f4f6931d5", 18),
    (3, 12): Wheel("numpy==1.26.4", "675d61ffbfa78604709862923189bad94014bef562cc35cf61d3a07bba02a7ed", 18),
}
"""By the Python that it is for."""


class TritonServerError(VtryonError):
    """The Triton server could not be fetched or started on this machine."""

    code = "TRITON_SERVER_FAILED"


@dataclass(frozen=True)
class Installation:
    """The folders of what was unpacked."""

    server: Path
    numpy: Path


def fetch() -> Installation:
    """The server and its numpy; fetched into the cache if they are not there."""
    machine = f"{platform.system()} {platform.machine()}"
    if machine != "Linux x86_64":
        raise TritonServerError(
            f"The Triton server of the package index runs on Linux x86_64, this is {machine}. Use Dockerfile.triton."
        )
    numpy = NUMPY.get(sys.version_info[:2])
    if numpy is None:
        pythons = " and ".join(".".join(map(str, version)) for version in NUMPY)
        raise TritonServerError(
            "The Triton server of the package index needs numpy 1.26, and there is one only for Python "
            f"{pythons}; this is Python {platform.python_version()}. Set PYTHON to one of those and make .venv anew, "
            "or use Dockerfile.triton."
        )
    return Installation(_unpacked(SERVER), _unpacked(numpy))


def _unpacked(wheel: Wheel) -> Path:
    folder = cache_dir() / "triton" / f"{wheel.requirement.replace('==', '-')}-{wheel.sha256[:8]}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as denied:
        raise TritonServerError(
            f"The cache folder {folder.parent} can't be made: {denied.strerror}. "
            "Set VTRYON_CACHE to one you can write to."
        ) from denied
    with one_process_at_a_time(folder.parent / ".lock"):
        if not folder.is_dir():
            log.info("fetching %s with pip, about %d MB", wheel.requirement, wheel.megabytes)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".incoming-") as incoming:
                _unpack(_download(wheel, Path(incoming)), Path(incoming) / "unpacked")
                (Path(incoming) / "unpacked").rename(folder)
            log.info("%s is at %s", wheel.requirement, folder)
    return folder


def _download(wheel: Wheel, folder: Path) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps"]
    try:
        _call([*pip, "--only-binary", ":all:", "--dest", str(folder), "--requirement", str(requirements)])
    except subprocess.TimeoutExpired:
        reason = f"pip took longer than {DOWNLOAD_SECONDS} seconds"
    except subprocess.CalledProcessError as failed:
        said = [line.strip() for line in failed.stderr.splitlines() if line.strip()]
        reason = said[-1] if said else f"pip ended with {failed.returncode}"
    else:
        (downloaded,) = folder.glob("*.whl")
        with downloaded.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() == wheel.sha256:
                return downloaded
        reason = "it is not the file that was tested: its sha256 differs"
    raise TritonServerError(
        f"{wheel.requirement} could not be fetched: {reason}. "
        "Check the network, or pip's settings for indexes and proxies, and try again."
    )


def _call(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, timeout=DOWNLOAD_SECONDS, capture_output=True, text=True)


def _unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    for file in folder.rglob("*"):
        if file.name in EXECUTABLES:
            file.chmod(0o755)  # a wheel's files are unpacked without their rights
