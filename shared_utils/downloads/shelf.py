"""What lies in the model folder: which of the workflow's files are there, and what is there in their place."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from shared_utils.artifacts.paths import write_whole
from shared_utils.downloads.files import ModelFile
from shared_utils.errors import OutputDirNotWritableError, StorageFullError

BLOCK = 8 * 1024 * 1024
LONGEST_HEADER = 100_000_000
"""Of a safetensors file, as its own library bounds it."""
MINIATURE_MARK = "vtryon"
"""The key in its metadata that tells a miniature from a real model."""
NOTES = ".verified.json"


class State(StrEnum):
    """What is in the place of a file."""

    THERE = "there"
    UNVERIFIED = "unverified"
    """Of the right size; nobody has looked at its contents."""
    MISSING = "missing"
    MINIATURE = "miniature"
    OTHER = "other"
    """Something else of that name."""


def look(file: ModelFile, models: Path) -> State:
    """Without reading all of it."""
    try:
        return _state(file, models)
    except OSError as denied:
        raise OutputDirNotWritableError(
            f"Can't look into {models}: {denied.strerror}. Check who may read it, or set MODEL_DIR to another folder."
        ) from denied


def _state(file: ModelFile, models: Path) -> State:
    target = file.target(models)
    if not target.exists():
        # A link to nowhere is what somebody put there: it is not replaced unasked.
        return State.OTHER if target.is_symlink() else State.MISSING
    if not target.is_file():
        return State.OTHER
    if target.stat().st_size != file.size:
        return State.MINIATURE if is_miniature(target) else State.OTHER
    return State.THERE if _notes(models).get(file.label) == _note(file, target) else State.UNVERIFIED


def remember(file: ModelFile, models: Path) -> None:
    """That the file was verified as it is now, so that it need not be read again. In a folder that can't be written
    to, it is read again each time."""
    notes = _notes(models) | {file.label: _note(file, file.target(models))}
    with suppress(OutputDirNotWritableError, StorageFullError):
        write_whole({models / NOTES: json.dumps(notes, indent=2).encode()})


def forget(file: ModelFile, models: Path) -> None:
    """It is not what it was."""
    notes = _notes(models)
    if notes.pop(file.label, None) is not None:
        with suppress(OutputDirNotWritableError, StorageFullError):
            write_whole({models / NOTES: json.dumps(notes, indent=2).encode()})


class Reading:
    """Reads a file to the end, block by block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = hashlib.sha256()

    def blocks(self) -> Iterator[int]:
        """How much each was."""
        with self._path.open("rb", buffering=0) as content:
            while block := content.read(BLOCK):
                self._digest.update(block)
                yield len(block)

    def sha256(self) -> str:
        return self._digest.hexdigest()


def is_miniature(path: Path) -> bool:
    """Whether it is one of vtryon's. Needs no library that knows tensors."""
    with suppress(OSError, ValueError), path.open("rb") as content:
        length = int.from_bytes(content.read(8), "little")
        if 0 < length <= min(LONGEST_HEADER, path.stat().st_size):
            header = json.loads(content.read(length))
            return isinstance(header, dict) and MINIATURE_MARK in (header.get("__metadata__") or {})
    return False


def _note(file: ModelFile, target: Path) -> dict[str, Any]:
    status = target.stat()
    return {"sha256": file.sha256, "size": status.st_size, "changed_ns": status.st_mtime_ns}


def _notes(models: Path) -> dict[str, Any]:
    try:
        notes = json.loads((models / NOTES).read_bytes())
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}
