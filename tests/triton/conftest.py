"""The Triton servers that the tests ask. Whatever needs one is marked `triton`."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared_utils.settings import cache_dir, one_process_at_a_time
from shared_utils.transports.triton.server import TritonServer
from tests.triton.support import served

NEED_TRITON = {"together", "apart", "client_python"}
CLIENT = "tritonclient[grpc,http]==2.73.0"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for a server is marked so."""
    for item in items:
        if isinstance(item, pytest.Function) and NEED_TRITON & set(item.fixturenames):
            item.add_marker("triton")


@pytest.fixture(scope="session")
def together(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """The four stages in one process, on the miniature models."""
    with served(tmp_path_factory.mktemp("together"), model_dir, "together") as server:
        yield server


@pytest.fixture(scope="session")
def apart(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """Each stage in a process of its own."""
    with served(tmp_path_factory.mktemp("apart"), model_dir, "apart") as server:
        yield server


@pytest.fixture(scope="session")
def client_python() -> Path:
    """A Python with NVIDIA's own client, kept in the cache: it wants an older protobuf than our gRPC does."""
    folder = cache_dir() / "triton" / f"client-{CLIENT.rpartition('==')[2]}-{sys.version_info[0]}.{sys.version_info[1]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with one_process_at_a_time(folder.parent / ".client-lock"):
        if not (folder / "done").is_file():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            subprocess.run([folder / "bin" / "pip", "install", "--quiet", CLIENT, "pillow"], check=True)
            (folder / "done").touch()
    return folder / "bin" / "python"
