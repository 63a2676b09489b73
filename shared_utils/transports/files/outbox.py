"""Puts a job that was answered where it belongs: all of it at once, and over nothing that is there.

Whatever this is interrupted by, doing it again does the rest.
"""

import errno
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared_utils.artifacts.paths import write_whole
from shared_utils.transports.files.claims import Answer, Claim
from shared_utils.transports.files.jobs import RESPONSE

LONGEST_NAME = 255
"""Of a file in bytes, on nearly every file system."""
TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR}


def put(claim: Claim, answer: Answer, outbox: Path) -> Path | None:
    """Have the job in done or failed, with the response beside it. None: it is there already."""
    arrived = outbox / f".{claim.id}"
    _bring(claim, arrived)
    if not arrived.exists():
        return None
    folder = outbox / ("done" if answer.succeeded else "failed")
    folder.mkdir(exist_ok=True)
    for name in _numbered(claim.title):
        target = folder / name
        if os.path.lexists(target):
            continue
        # Paths in the response are those that hold from now on.
        response = _renamed(answer.response, str(claim.home), str(target))
        write_whole({arrived / RESPONSE: json.dumps(response, indent=2).encode("ascii")})
        try:
            arrived.rename(target)
        except OSError as failed:
            if failed.errno not in TAKEN:
                raise
        else:
            return target
    return None


def _bring(claim: Claim, arrived: Path) -> None:
    """Have the job's folder on the outbox's file system, under a name that nobody looks at."""
    if not claim.home.exists():
        return
    try:
        claim.home.rename(arrived)
    except OSError as failed:
        if failed.errno != errno.EXDEV:
            raise
        half = arrived.with_name(f"{arrived.name}.part")
        for old in (half, arrived):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(claim.home, half, symlinks=True, ignore=_special, copy_function=_copy)
        half.rename(arrived)
        claim.home.rename(claim.copied)


def _special(folder: str, names: list[str]) -> list[str]:
    """Pipes, sockets and devices: nothing that can be copied."""
    return [each.name for each in os.scandir(folder) if not (each.is_symlink() or each.is_file() or each.is_dir())]


def _copy(source: str, target: str) -> None:
    shutil.copy2(source, target)
    with Path(target).open("rb") as copied:
        os.fsync(copied.fileno())  # the original is about to be removed


def _numbered(title: str) -> Iterator[str]:
    """title, title-2, title-3 and so on, none of them longer than a name may be."""
    for number in itertools.count(1):
        ending = f"-{number}" if number > 1 else ""
        start = title
        while len(os.fsencode(start + ending)) > LONGEST_NAME:
            start = start[:-1]
        yield start + ending


def _renamed(value: Any, before: str, after: str) -> Any:
    """The same, with one folder's path put for another's wherever it is told."""
    if isinstance(value, str):
        return value.replace(before, after)
    if isinstance(value, dict):
        return {name: _renamed(each, before, after) for name, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, before, after) for each in value]
    return value
