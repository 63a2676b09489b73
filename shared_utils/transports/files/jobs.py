"""A job as it lies on the disk: what it asks for, and which files it names."""

import errno
import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel

from shared_utils.contracts import LocalPath
from shared_utils.errors import InvalidRequestError, PathNotAllowedError
from shared_utils.settings import Settings

JOB = "job.json"
RESPONSE = "response.json"
OUTPUT_DIR = "output_dir"
PATH = re.compile(r"[^\x00-\x1f\ud800-\udfff]{1,4096}")
MOST_BYTES = 1_000_000
"""Of a job file: it holds paths and parameters, never pictures."""


@dataclass(frozen=True)
class Job:
    """Where a job's fields are, and the folder that its paths are relative to."""

    file: Path
    base: Path
    is_folder: bool

    def fields(self, settings: Settings) -> dict[str, Any]:
        """What the job file holds. Raises InvalidRequestError, or PathNotAllowedError for a link."""
        content = self._content(settings)
        try:
            fields = json.loads(content)
        except (ValueError, RecursionError) as wrong:
            raise InvalidRequestError(f"{self.file} is no JSON: {wrong}.") from None
        if not isinstance(fields, dict):
            raise InvalidRequestError(f"{self.file} is a JSON {type(fields).__name__}, not an object.")
        return fields

    def _content(self, settings: Settings) -> bytes:
        most = min(MOST_BYTES, round(settings.max_file_mb * 1e6))
        try:
            with open(self.file, "rb", opener=_itself) as opened:
                if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                    raise InvalidRequestError(f"{self.file} is not a file.")
                content: bytes = opened.read(most + 1)
        except FileNotFoundError:
            raise InvalidRequestError(f"There is no {self.file}: a job in a folder needs one.") from None
        except OSError as denied:
            if denied.errno == errno.ELOOP:
                raise PathNotAllowedError(f"{self.file} is a link. Links are not followed: give the file.") from None
            raise InvalidRequestError(f"Can't read {self.file}: {denied.strerror}.") from None
        if len(content) > most:
            raise InvalidRequestError(
                f"{self.file} is larger than {most / 1e6:g} MB (MAX_FILE_MB, at most 1): name the pictures."
            )
        return content

    def located(
        self, fields: Mapping[str, Any], names: Iterable[str], home: Path, settings: Settings
    ) -> dict[str, Any]:
        """The fields with their paths where they are: inputs relative to `base`, a relative output_dir to `home`,
        where the job's results go. Raises PathNotAllowedError if one leads out."""
        found = dict(fields)
        for name in names:
            if is_relative(fields.get(name)):
                base = home if name == OUTPUT_DIR else self.base
                found[name] = str(_inside(base, name, fields[name], settings))
        return found


def is_relative(value: Any) -> bool:
    """Whether it is a path that means one thing in one folder, and another in another. What is no path at all is left
    to the request, which says so."""
    return isinstance(value, str) and PATH.fullmatch(value) is not None and not Path(value).is_absolute()


def _itself(path: str, flags: int) -> int:
    """Neither a link nor a pipe can lead the reader elsewhere, or have it wait."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _inside(base: Path, name: str, value: str, settings: Settings) -> Path:
    path = base / value
    resolved = Path(os.path.realpath(path))
    if not any(resolved.is_relative_to(os.path.realpath(root)) for root in (base, *settings.storage_roots)):
        raise PathNotAllowedError(
            f"{name}={value!r} leads out of the job's folder. Give files in it, or a path inside STORAGE_ROOTS."
        )
    return path


def path_fields(request_type: type[BaseModel]) -> list[str]:
    """The fields of a request that are paths."""
    hints = get_type_hints(request_type, include_extras=True)
    return [name for name in request_type.model_fields if LocalPath in (hints[name], *get_args(hints[name]))]
