"""Where files may lie, and how they come to be: whole, or not at all."""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from shared_utils.errors import NO_ROOM, OutputDirNotWritableError, PathNotAllowedError, StorageFullError
from shared_utils.settings import Settings

LONGEST_NAME = 200
"""Of a file name in bytes; file systems take 255, and an ending comes behind it."""


def allowed(path: str | Path, settings: Settings) -> Path:
    """The path with all links resolved, if it lies inside the storage roots; without roots, anywhere will do."""
    resolved = Path(os.path.realpath(path))
    roots = [root.resolve() for root in settings.storage_roots]
    if roots and not any(resolved.is_relative_to(root) for root in roots):
        raise PathNotAllowedError(
            f"{path} is outside the storage. Paths must lie inside {', '.join(map(str, roots))} (STORAGE_ROOTS)."
        )
    return resolved


def output_folder(path: str, settings: Settings) -> Path:
    """The folder, made if it is missing."""
    folder = allowed(path, settings)
    with _denied_as_output_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):  # now, and not after a minute of work
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    return folder


def plain_file_name(name: str) -> str:
    """A file name that stays in the folder it is put in."""
    if name in ("", ".", "..") or any(character in name for character in "/\\") or not name.isprintable():
        raise PathNotAllowedError(
            f"output_filename={name!r} is not a plain file name: give the folder in output_dir, and no slashes here."
        )
    if len(name.encode()) > LONGEST_NAME:
        raise PathNotAllowedError(f"output_filename={name!r} is longer than {LONGEST_NAME} bytes.")
    return name


def write_whole(files: Mapping[Path, bytes]) -> None:
    """Have all these files; if one can't be written, none of them. Their folders are made if they are missing.

    Nobody sees a file before all of it is on the disk. A crash among the renames at the end can leave some of the
    files without the others, each of them whole."""
    temporaries = {target: target.with_name(f".{secrets.token_hex(8)}.part") for target in files}
    try:
        for target, temporary in temporaries.items():
            with _denied_as_output_error(target.parent):
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.is_dir():
                    raise IsADirectoryError(errno.EISDIR, f"{target.name} is a folder", str(target))
                temporary.write_bytes(files[target])
                sync(temporary)
        for target, temporary in temporaries.items():
            with _denied_as_output_error(target.parent):
                temporary.replace(target)
        for folder in {target.parent for target in files}:
            with _denied_as_output_error(folder):
                sync(folder)
    finally:
        for temporary in temporaries.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have the disk keep it before anybody is told that it is there."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _denied_as_output_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as denied:
        if denied.errno in NO_ROOM:
            raise StorageFullError(
                f"No room left in {folder}: {denied.strerror}. Free some space and try again."
            ) from denied
        raise OutputDirNotWritableError(
            f"Can't write to {folder}: {denied.strerror or denied}. Check that it exists and who may write there."
        ) from denied
