"""Whether a job that is being copied is whole: by what is in it, else by its not having changed for a while."""

import zipfile
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared_utils.artifacts.images import checked_picture
from shared_utils.errors import VtryonError
from shared_utils.settings import Settings
from shared_utils.transports.files.entries import Entry
from shared_utils.transports.files.jobs import Job
from shared_utils.transports.files.settings import FilesSettings


@dataclass(frozen=True)
class Parts:
    """The files that a job is made of, as far as its fields could be read."""

    files: list[Path]
    complete: bool
    """Whether there can be no others, when these are whole."""


PartsOf = Callable[[Job], Parts | None]
"""The parts of a job; None if they can't be told yet."""


@dataclass(frozen=True)
class _Seen:
    signature: Any
    since: float
    quiet: float
    """How long it must not change before it is taken."""


class Settling:
    def __init__(self, settings: FilesSettings, parts_of: PartsOf, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._parts_of = parts_of
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    def ready(self, entry: Entry) -> bool:
        """Whether it is to be taken now. Its pictures are read again only when something has changed."""
        if entry.empty:
            return False
        parts, now = self._parts_of(entry.job), self._clock()
        signature = entry.signature(parts.files if parts else ())
        seen = self._seen.get(entry.path.name)
        if seen is None or seen.signature != signature:
            seen = self._seen[entry.path.name] = _Seen(signature, now, self._quiet(parts))
        return now - seen.since >= seen.quiet

    def forget_all_but(self, names: Container[str]) -> None:
        self._seen = {name: seen for name, seen in self._seen.items() if name in names}

    def _quiet(self, parts: Parts | None) -> float:
        if parts is None or not all(_is_whole(file, self._settings) for file in parts.files):
            return self._settings.files_settle_seconds
        return 0 if parts.complete else self._settings.files_poll_seconds


def _is_whole(file: Path, settings: Settings) -> bool:
    """A picture that decodes to its end, or a .pt file with the directory that is written last."""
    try:
        if not file.is_file():
            return False
        if zipfile.is_zipfile(file):
            return True
        checked_picture(str(file), settings)
    except (VtryonError, OSError, ValueError):
        return False
    return True
