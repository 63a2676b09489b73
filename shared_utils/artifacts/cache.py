"""What was worked out before, found by what it was worked out from: in memory, and in a folder that processes share.

Never wrong: an entry says what it is an entry for and what it holds, by a digest over both. Whatever does not fit, is
cut off, or can't be read counts as not there, and is worked out again. Who can't write goes on without.
"""

import hashlib
import json
import logging
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from shared_utils.artifacts.tensors import tensor_file
from shared_utils.settings import Settings

log = logging.getLogger("vtryon.reuse")

ENDING = ".entry"
DIGEST_BYTES = 32
PART_OF_LIMIT = 20
"""The folder is looked through whenever this part of its limit was written."""
LEFT_BEHIND_SECONDS = 3600.0
"""So old a file that was never finished is of a writer that died."""


class Cache:
    """Safe to share between threads, and its folder between machines."""

    def __init__(self, settings: Settings) -> None:
        self._memory = _Memory(round(settings.reuse_memory_mb * 1e6))
        self._folder = _Folder(settings.reuse_dir, round(settings.reuse_dir_gb * 1e9)) if settings.reuse_dir else None

    def get(self, key: str) -> Any | None:
        """What was put there, as a copy of its own; None if nothing was."""
        content = self._memory.get(key)
        if content is None and self._folder is not None:
            content = self._folder.get(key)
            if content is not None:
                self._memory.put(key, content)
        return None if content is None else torch.load(BytesIO(content), weights_only=True)

    def put(self, key: str, value: Any) -> None:
        """Keep tensors, or lists and dicts of tensors, texts and numbers."""
        if not self.on:
            return
        content = tensor_file(value)
        self._memory.put(key, content)
        if self._folder is not None:
            self._folder.put(key, content)

    @property
    def on(self) -> bool:
        return self._memory.limit > 0 or self._folder is not None


def digest(*parts: Any) -> str:
    """The same for the same values only: tensors by their numbers, the rest by what JSON makes of it."""
    found = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for chunk in _chunks(parts):
        found.update(len(chunk).to_bytes(8, "little"))
        found.update(chunk)
    return found.hexdigest()


def _chunks(value: Any) -> Iterator[bytes | memoryview]:
    if isinstance(value, torch.Tensor):
        plain = value.detach().cpu().contiguous()
        yield f"tensor {plain.dtype} {list(plain.shape)}".encode()
        yield memoryview(plain.reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, bytes):
        yield b"bytes"
        yield value
    elif isinstance(value, dict):
        yield f"dict {len(value)}".encode()
        for name in sorted(value):
            yield from _chunks(name)
            yield from _chunks(value[name])
    elif isinstance(value, list | tuple):
        yield f"list {len(value)}".encode()
        for entry in value:
            yield from _chunks(entry)
    else:
        yield json.dumps(value).encode()


class _Memory:
    """The least recently used goes first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._entries: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: str, content: bytes) -> None:
        if len(content) > self.limit:
            return
        with self._lock:
            self._size += len(content) - len(self._entries.pop(key, b""))
            self._entries[key] = content
            while self._size > self.limit:
                _, oldest = self._entries.popitem(last=False)
                self._size -= len(oldest)


class _Folder:
    """A file for each entry. What was read or written longest ago goes first."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._unseen: int | None = None
        """Bytes written since the folder was looked through; None: never."""
        self._said = False

    def get(self, key: str) -> bytes | None:
        file = self._file(key)
        try:
            stored = file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as failed:
            self._goes_without("read from", failed)
            return None
        content = stored[DIGEST_BYTES:]
        if stored[:DIGEST_BYTES] != _seal(key, content):
            log.warning("%s is damaged, or is another entry: it is worked out again", file)
            with suppress(OSError):
                file.unlink()
            return None
        with suppress(OSError):
            os.utime(file)
        return content

    def put(self, key: str, content: bytes) -> None:
        file = self._file(key)
        part = file.with_name(f".{secrets.token_hex(8)}.part")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # Not kept safe from a crash as results are: a torn entry is found to be one.
            part.write_bytes(_seal(key, content) + content)
            part.replace(file)
            self._bound(len(content))
        except OSError as failed:
            self._goes_without("written to", failed)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}{ENDING}"

    def _goes_without(self, what: str, failed: OSError) -> None:
        level = logging.DEBUG if self._said else logging.WARNING
        self._said = True
        log.log(level, "%s (REUSE_DIR) can't be %s: %s. Work is done again instead", self._folder, what, failed)

    def _bound(self, written: int) -> None:
        """Keep the folder below its limit; others write to it too, and remove from it at the same time."""
        if self._unseen is not None:
            self._unseen += written
            if self._unseen <= self._limit / PART_OF_LIMIT:
                return
        self._unseen = 0
        found = sorted(self._entries())
        size = sum(each for _, each, _ in found)
        for _, each, file in found:
            if size <= self._limit * (1 - 1 / PART_OF_LIMIT):
                break
            file.unlink(missing_ok=True)
            size -= each

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """When each was used last, and its size. What dead writers left goes."""
        for folder in [each for each in self._folder.iterdir() if len(each.name) == 2 and each.is_dir()]:
            for file in folder.iterdir():
                with suppress(FileNotFoundError):
                    seen = file.stat()
                    if file.name.endswith(ENDING):
                        yield seen.st_mtime, seen.st_size, file
                    elif file.name.endswith(".part") and time.time() - seen.st_mtime > LEFT_BEHIND_SECONDS:
                        file.unlink(missing_ok=True)


def _seal(key: str, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES, key=bytes.fromhex(key)).digest()
