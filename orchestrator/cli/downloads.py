"""The folder that pictures are downloaded to: each is called after its garment, and none takes another's place."""

import threading
from pathlib import Path

from orchestrator.client import Picture
from shared_utils.artifacts.paths import write_whole


class Downloads:
    """Safe to be used by several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[Path] = set()
        self._lock = threading.Lock()

    def save(self, picture: Picture, garment: str) -> Path:
        """Where it is now: striped.png, or striped-2.png if that is there."""
        file = self._free(Path(garment).stem, picture.suffix)
        write_whole({file: picture.content})
        return file

    def _free(self, stem: str, suffix: str) -> Path:
        with self._lock:
            number, file = 1, self._folder / f"{stem}{suffix}"
            while file in self._taken or file.exists():
                number += 1
                file = self._folder / f"{stem}-{number}{suffix}"
            self._taken.add(file)
            return file
