"""Where files may lie, and how they come to be: whole, or not at all."""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared_utils.errors import OutputDirNotWritableError, PathNotAllowedError, StorageFullError
from shared_utils.settings import Settings

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def allowed(path: str | Path, settings: Settings) -> Path:
    """The path with all links resolved, if it lies inside the storage roots; without roots, anywhere will do."""
    resolved = Path(path).expanduser().resolve()
    roots = [root.expanduser().resolve() for root in settings.storage_roots]
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
    return folder


def plain_file_name(name: str) -> str:
    """A file name that stays in the folder it is put in."""
    if name in ("", ".", "..") or any(character in name for character in "/\\") or not name.isprintable():
        raise PathNotAllowedError(
            f"output_filename={name!r} is not a plain file name: give the folder in output_dir, and no slashes here."
        )
    return name


def write_whole(target: Path, content: bytes) -> None:
    """Have the content at `target`, or, if anything fails or the machine dies, nothing new at all.

    Its folder is made if it is missing."""
    temporary = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with _denied_as_output_error(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            _sync(temporary)
            temporary.replace(target)
            _sync(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _sync(path: Path) -> None:
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
        if denied.errno in FULL:
            raise StorageFullError(
                f"No room left in {folder}: {denied.strerror}. Free some space and try again."
            ) from denied
        raise OutputDirNotWritableError(
            f"Can't write to {folder}: {denied.strerror or denied}. Check that it exists and who may write there."
        ) from denied
