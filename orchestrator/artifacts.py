"""The files that try-ons leave behind: removed when one has ended, or by age if nobody came to it."""

import logging
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

from orchestrator.config import Config

log = logging.getLogger("vtryon.orchestrator")

HALF_WRITTEN = re.compile(r"^\.[0-9a-f]{16}\.part$")
"""What a process that was killed while writing leaves: see shared_utils.artifacts.paths."""
OURS = re.compile(r"^((latent|scaled_image|positive|negative|sampled_latent)_.*|\.[0-9a-f]{16})\.(pt|png|json|part)$")
"""What steps write. A folder with anything else in it is not ours to remove."""
SWEEP_SECONDS = 3600.0


class Cleaner:
    """Removes folders in a thread of its own, so that nobody's try-on waits for a disk."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folders: SimpleQueue[Path | None] = SimpleQueue()
        self._swept = 0.0
        self._thread = threading.Thread(target=self._work, name="cleaner", daemon=True)
        self._thread.start()

    def remove(self, work_dir: str) -> None:
        """What a try-on that has ended does not need any more."""
        if not self._config.keep_intermediates:
            self._folders.put(Path(work_dir))

    def sweep_if_due(self, monotonic: float) -> None:
        if not self._swept or monotonic - self._swept > SWEEP_SECONDS:
            self._swept = monotonic
            for leftover in leftovers(self._config, time.time()):
                log.info("left behind by a crash, removed: %s", leftover)
                self._folders.put(leftover)

    def close(self) -> None:
        """Finish what has been asked for."""
        self._folders.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (path := self._folders.get()) is not None:
            try:
                remove(path)
            except OSError as denied:
                log.warning("can't remove %s: %s", path, denied.strerror)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=False)
    else:
        path.unlink(missing_ok=True)


def leftovers(config: Config, at: float) -> Iterator[Path]:
    """Folders of try-ons, and half-written files, that nobody has touched for SWEEP_HOURS."""
    oldest = at - config.sweep_hours * 3600
    for folder in [] if config.keep_intermediates else _entries(config.intermediate_dir):
        files = _entries(folder)
        if folder.is_dir() and _changed(folder) < oldest and all(_is_old_and_ours(file, oldest) for file in files):
            yield folder
    for file in _entries(Path(config.output_dir)):
        if HALF_WRITTEN.match(file.name) and _changed(file) < oldest:
            yield file


def _is_old_and_ours(file: Path, oldest: float) -> bool:
    return OURS.match(file.name) is not None and file.is_file() and _changed(file) < oldest


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:  # somebody else's sweep was faster
        return 0.0
