"""What has arrived of a file: kept beside its place under a name of its own, until all of it is there and right."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from shared_utils.artifacts.paths import sync, write_whole
from shared_utils.downloads.files import ModelFile
from shared_utils.errors import NO_ROOM, OutputDirNotWritableError, StorageFullError

BLOCK = 4 * 1024 * 1024


class Part:
    """A download under way. What is in it is read by one process at a time: whoever has the folder's lock."""

    def __init__(self, target: Path, file: ModelFile) -> None:
        self._target = target
        self._expected = file
        self._path, self._notes = part_of(target), target.with_name(f".{target.name}.part.json")
        with _refused_as_storage_error(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
        self._digest = hashlib.sha256()
        self.length = 0
        """How much of it is known, from its beginning."""
        self.etag: str | None = None
        """Of the version that it is a part of."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def reread(self) -> Iterator[int]:
        """Take up what an earlier attempt left, block by block; how much each was."""
        with _refused_as_storage_error(self._target.parent):
            notes = self._read_notes()
            if notes.get("sha256") != self._expected.sha256 or self._path.stat().st_size > self._expected.size:
                self.clear()
                return
            etag = notes.get("etag")
            self.etag = etag if isinstance(etag, str) else None
            while block := self._file.read(BLOCK):
                self._digest.update(block)
                self.length += len(block)
                yield len(block)

    def begin(self, etag: str | None) -> None:
        """From the beginning, with this version of the file."""
        self.clear()
        self.etag = etag
        with _refused_as_storage_error(self._target.parent):
            write_whole({self._notes: json.dumps({"sha256": self._expected.sha256, "etag": etag}).encode()})

    def append(self, block: bytes) -> None:
        with _refused_as_storage_error(self._target.parent):
            try:
                rest = memoryview(block)
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError:
                with suppress(OSError):  # so that the next attempt finds nothing but what it knows
                    self._file.truncate(self.length)
                    self._file.seek(self.length)
                raise
        self._digest.update(block)
        self.length += len(block)

    def clear(self) -> None:
        """Throw away what has arrived."""
        with _refused_as_storage_error(self._target.parent):
            self._file.seek(0)
            self._file.truncate()
        self._digest = hashlib.sha256()
        self.length, self.etag = 0, None

    @property
    def right(self) -> bool:
        """Whether it is all of the file, and the right one."""
        expected = self._expected
        return self.length == expected.size and self._digest.hexdigest() == expected.sha256

    def sha256(self) -> str:
        return self._digest.hexdigest()

    def finish(self) -> None:
        """Put it into its place."""
        assert self.right  # noqa: S101  nothing that was not verified takes the place of a file
        with _refused_as_storage_error(self._target.parent):
            os.fsync(self._file.fileno())
            self._path.replace(self._target)
            sync(self._target.parent)
            self._notes.unlink(missing_ok=True)

    def remove(self) -> None:
        """Leave nothing."""
        with _refused_as_storage_error(self._target.parent):
            self._path.unlink(missing_ok=True)
            self._notes.unlink(missing_ok=True)

    def _read_notes(self) -> dict[str, object]:
        try:
            notes = json.loads(self._notes.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return notes if isinstance(notes, dict) else {}


def part_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


@contextmanager
def _refused_as_storage_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as refused:
        if refused.errno in NO_ROOM:
            raise StorageFullError(
                f"No room left in {folder}: {refused.strerror}. Free some space and run it again: what has arrived "
                "is kept."
            ) from refused
        raise OutputDirNotWritableError(
            f"Can't write to {folder}: {refused.strerror or refused}. Check who may write there, or set MODEL_DIR to "
            "another folder."
        ) from refused
