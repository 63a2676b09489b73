"""What lies in the inbox: which of it are jobs, and whether one has changed since it was last looked at."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from shared_utils.transports.files.jobs import JOB, Job

HALF_COPIED = (".part", ".tmp")
ENDING = ".json"
MOST_LISTED = 1000
"""Files of a folder that are looked at: more than a job has, and no folder holds up the others."""


@dataclass(frozen=True)
class Entry:
    """A job in the inbox: a file, a folder, or something that only looks like one."""

    path: Path
    is_folder: bool

    @property
    def job(self) -> Job:
        if self.is_folder:
            return Job(self.path / JOB, self.path, is_folder=True)
        return Job(self.path, self.path.parent, is_folder=False)

    @property
    def empty(self) -> bool:
        return self.is_folder and next(_listed(self.path), None) is None

    def signature(self, files: Iterable[Path]) -> Any:
        """Differs when the job or one of these files has changed."""
        listed = islice(_listed(self.path), MOST_LISTED) if self.is_folder else ()
        return tuple(_state(path) for path in (self.path, *listed, *files))


def entries(inbox: Path) -> list[Entry]:
    """The jobs, oldest first. What is no job costs a look at its name."""
    found = []
    with os.scandir(inbox) as listing:
        for each in listing:
            if _is_left_alone(each.name):
                continue
            folder = each.is_dir(follow_symlinks=False)
            # A link to a folder is taken too: to be refused, rather than to lie there without a word.
            if folder or each.name.lower().endswith(ENDING) or (each.is_symlink() and each.is_dir()):
                found.append((_changed(each), each.name, Entry(Path(each.path), folder)))
    return [entry for _, _, entry in sorted(found, key=lambda each: each[:2])]


def visible(folder: Path) -> list[Path]:
    """What is in a folder, by name, apart from what is being copied."""
    return sorted(path for path in folder.iterdir() if not _is_left_alone(path.name))


def _is_left_alone(name: str) -> bool:
    return name.startswith(".") or name.lower().endswith(HALF_COPIED)


def _listed(folder: Path) -> Iterator[Path]:
    """All that lies in a folder, as deep as it goes; of what can't be read, the folder itself."""
    folders = [folder]
    while folders:
        this = folders.pop()
        try:
            with os.scandir(this) as listing:
                for each in listing:
                    if not _is_left_alone(each.name):
                        yield Path(each.path)
                        if each.is_dir(follow_symlinks=False):
                            folders.append(Path(each.path))
        except OSError:
            yield this


def _changed(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_mtime_ns
    except FileNotFoundError:  # another worker was faster
        return 0


def _state(path: Path) -> Any:
    try:
        found = path.lstat()
    except OSError as missing:
        return path, missing.errno
    return path, found.st_ino, found.st_size, found.st_mtime_ns
