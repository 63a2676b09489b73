"""Model repositories, and what a server for tests is told."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from orchestrator.cli.main import main
from shared_utils.settings import cache_dir
from shared_utils.transports.triton.server import TritonServer

KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_")


def environment(model_dir: Path, **settings: str) -> dict[str, str]:
    """What a server's models find in theirs: none of the user's settings."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    ours = {"VTRYON_CACHE": str(cache_dir()), "COMFYUI_DEVICE": "cpu", "COMFYUI_ATTENTION": "pytorch"}
    return kept | ours | {"MODEL_DIR": str(model_dir)} | settings


def build(folder: Path, *flags: str) -> Path:
    """The model repository that `vtryon triton build` makes."""
    assert main(["triton", "build", "--output", str(folder), *flags]) == 0
    return folder


@contextmanager
def served(folder: Path, model_dir: Path, layout: str) -> Iterator[TritonServer]:
    """A server of the four stages on these models."""
    repository = build(folder / "repository", "--layout", layout)
    settings = environment(model_dir)
    with TritonServer(repository, folder / "server", environment=settings, dies_with_parent=True) as server:
        yield server


def write_models(folder: Path, models: Mapping[str, str]) -> Path:
    """A repository of small models, given by their model.py: a text in, a text out."""
    for name, source in models.items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "1" / "model.py").write_text(source)
        (folder / name / "config.pbtxt").write_text(
            f'name: "{name}"\nbackend: "python"\nmax_batch_size: 0\n'
            'input [{ name: "text" data_type: TYPE_STRING dims: [1] }]\n'
            'output [{ name: "out" data_type: TYPE_STRING dims: [1] }]\n'
            "instance_group [{ kind: KIND_CPU count: 1 }]\n"
        )
    return folder
