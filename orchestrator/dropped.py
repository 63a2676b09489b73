"""What a job that was dropped into a folder asks for: by its fields, and by the names of its pictures."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.gateway.intake import GARMENT, GARMENTS, split
from shared_utils.errors import InvalidRequestError, VtryonError
from shared_utils.settings import Settings
from shared_utils.transports.files.entries import visible
from shared_utils.transports.files.jobs import Job, is_relative
from shared_utils.transports.files.settling import Parts

PERSON, MASK = "person_image_path", "mask_image_path"
NAMED = {PERSON: re.compile(r"person\..+"), GARMENTS: re.compile(r"garment.*\..+"), MASK: re.compile(r"mask\..+")}
"""The names of pictures in a folder, and the fields that they fill."""


@dataclass(frozen=True)
class Dropped:
    """A job's try-ons, one for each garment."""

    fields: dict[str, Any]
    garments: list[Any]
    listed: bool
    """Whether the job itself says which garments there are, so that no other can be on its way."""


def read(job: Job, settings: Settings) -> Dropped:
    """Raises VtryonError. Paths are made absolute, those that lie in the job's own folder are checked to do so."""
    fields = job.fields(settings) if not job.is_folder or job.file.exists() or job.file.is_symlink() else {}
    fields, garments = split(fields)
    listed = bool(garments)
    if job.is_folder:
        found = _by_name(job.base)
        garments = garments or found[GARMENTS]
        fields = {name: found[name][0] for name in (PERSON, MASK) if found[name]} | fields
    garments = [_located(job, GARMENT, path, settings) for path in garments]
    pictures = {name: _located(job, name, fields[name], settings) for name in (PERSON, MASK) if name in fields}
    return Dropped(fields | pictures, garments, listed)


def parts_of(job: Job, settings: Settings) -> Parts | None:
    """The pictures that a job brings along; None while it can't be told which they are."""
    try:
        dropped = read(job, settings)
    except VtryonError:
        return None
    pictures = [dropped.fields.get(PERSON), dropped.fields.get(MASK), *dropped.garments]
    if job.is_folder and (not dropped.garments or pictures[0] is None):
        return None
    brought = [Path(path) for path in pictures if isinstance(path, str) and Path(path).is_relative_to(job.base)]
    return Parts(brought, complete=dropped.listed)


def _by_name(folder: Path) -> dict[str, list[str]]:
    try:
        names = [path.name for path in visible(folder)]
    except OSError as denied:
        raise InvalidRequestError(f"Can't look into {folder}: {denied.strerror}.") from None
    found = {field: [name for name in names if form.fullmatch(name.lower())] for field, form in NAMED.items()}
    for field in (PERSON, MASK):
        if len(found[field]) > 1:
            raise InvalidRequestError(f"There are {' and '.join(found[field])}: one of them must go.")
    return found


def _located(job: Job, name: str, value: Any, settings: Settings) -> Any:
    located: Mapping[str, Any] = job.located({name: value}, [name], job.base, settings) if is_relative(value) else {}
    return located.get(name, value)
