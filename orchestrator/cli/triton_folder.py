"""Writes a model repository into a folder that may hold an earlier one, and models of others."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from shared_utils.artifacts.paths import write_whole
from shared_utils.errors import InvalidRequestError, OutputDirNotWritableError, failing_as
from shared_utils.transports.triton.config import WRITTEN
from shared_utils.transports.triton.repository import CODE, CONFIG, NOTHING, ONNX

OURS = (CONFIG, CODE, NOTHING, ONNX)
"""All that a build writes for a model, the configurations before what they speak of: they are the first to go."""
CACHE = Path(CODE).parent / "__pycache__"


def write_repository(folder: Path, files: Mapping[Path, str], copies: Mapping[Path, Path]) -> list[str]:
    """Have the folder hold these files and copies, by their paths in it, and no model of an earlier build's that has
    none of them. The names of the models."""
    models = sorted({file.parts[0] for file in (*files, *copies)})
    with failing_as(OutputDirNotWritableError, f"writing to {folder}"):
        earlier = _earlier(folder, models)
        for file, source in copies.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / file)
        write_whole({folder / file: text.encode() for file, text in files.items()})
        for model in earlier:
            _remove(model, [name for name in OURS if Path(model.name, name) not in {*files, *copies}])
    return models


def _earlier(folder: Path, models: list[str]) -> list[Path]:
    """The models of an earlier build, if nothing of anybody else's stands in the way."""
    ours = [config.parent for config in sorted(folder.glob(f"*/{CONFIG}")) if _is_ours(config)]
    for model in ours:
        if model.name not in models and _of_others(model):
            names = ", ".join(str(file) for file in _of_others(model))
            raise InvalidRequestError(
                f"The model {model} is to go, but holds more than vtryon wrote: move {names} away."
            )
    for model in (folder / name for name in models):
        if model not in ours and (model / CONFIG).exists():
            raise InvalidRequestError(f"{model / CONFIG} is not vtryon's: give another --output, or move {model} away.")
    return ours


def _is_ours(config: Path) -> bool:
    with config.open(encoding="utf-8", errors="replace") as lines:
        return lines.readline().rstrip("\n") == WRITTEN


def _of_others(model: Path) -> list[Path]:
    kept = {model / name for name in OURS}
    return [file for file in model.rglob("*") if file.is_file() and file not in kept and file.parent != model / CACHE]


def _remove(model: Path, names: list[str]) -> None:
    """With its configuration goes the whole model."""
    for name in names:
        (model / name).unlink(missing_ok=True)
    if CODE in names:
        shutil.rmtree(model / CACHE, ignore_errors=True)
    if CONFIG in names:
        shutil.rmtree(model)
