"""Pictures that were uploaded, in the shared folder: each under the digest of its content, whole or not at all."""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from orchestrator.gateway.settings import GatewayConfig
from shared_utils.artifacts.images import checked_header
from shared_utils.artifacts.paths import sync
from shared_utils.errors import InternalError, failing_as

STORED = re.compile(r"[0-9a-f]{64}\.(png|jpg|webp)")
UNFINISHED = re.compile(r"\.[0-9a-f]{16}\.part")


class Uploads:
    """The folder that workers read them from."""

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self.folder = Path(os.path.realpath(config.gateway_upload_dir))

    def begin(self, name: str) -> "Incoming":
        """A picture that comes piece by piece. It must be kept or given up."""
        return Incoming(name, self.folder, self._config)

    def store(self, content: bytes, name: str = "The picture") -> str:
        """The path of a picture that came in one piece. Raises ImageInvalidError."""
        incoming = self.begin(name)
        try:
            incoming.write(content)
            return incoming.keep()
        finally:
            incoming.give_up()

    def holds(self, path: Path) -> bool:
        """Whether an upload has this path."""
        return path.parent == self.folder and STORED.fullmatch(path.name) is not None

    def sweep(self, clock: Callable[[], float] = time.time) -> int:
        """Remove what is old, and nothing that was not written here; how many they were."""
        oldest = clock() - self._config.gateway_upload_hours * 3600
        ours = [file for file in self._files() if STORED.fullmatch(file.name) or UNFINISHED.fullmatch(file.name)]
        return sum(_removed_if_older(file, oldest) for file in ours)

    def _files(self) -> list[Path]:
        return list(self.folder.iterdir()) if self.folder.is_dir() else []


class Incoming:
    """A picture while it comes: on the disk, under a name that nobody reads."""

    def __init__(self, name: str, folder: Path, config: GatewayConfig) -> None:
        self._name = name
        self._folder = folder
        self._config = config
        self._digest = hashlib.sha256()
        self._part = folder / f".{secrets.token_hex(8)}.part"
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self._part.open("x+b")

    def write(self, piece: bytes) -> None:
        self._digest.update(piece)
        with self._writing():
            self._file.write(piece)

    def keep(self) -> str:
        """Its path, once it is there for everybody. Raises ImageInvalidError if it is no picture that can be used."""
        suffix = checked_header(self._name, self._file, self._config)
        kept = self._folder / f"{self._digest.hexdigest()}{suffix}"
        with self._writing():
            self._file.flush()
            os.fsync(self._file.fileno())
            # Over one of the same content, if there is one: then it counts as new when old ones are removed.
            self._part.replace(kept)
            sync(self._folder)
        return str(kept)

    def give_up(self) -> None:
        """Leave nothing behind but what was kept."""
        self._file.close()
        self._part.unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with failing_as(InternalError, f"writing to the upload folder {self._folder} (GATEWAY_UPLOAD_DIR)"):
            yield


def _removed_if_older(file: Path, oldest: float) -> bool:
    try:
        if file.stat().st_mtime >= oldest:
            return False
        file.unlink()
    except FileNotFoundError:  # another gateway was faster
        return False
    return True
