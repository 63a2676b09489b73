"""Several files into one folder, side by side."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from shared_utils import __version__
from shared_utils.downloads.fetch import READING, Fetch, Patience, stepped
from shared_utils.downloads.files import ModelFile, readable
from shared_utils.downloads.part import part_of
from shared_utils.downloads.progress import Progress
from shared_utils.downloads.shelf import Reading, State, forget, look, remember
from shared_utils.downloads.source import Source
from shared_utils.errors import StorageFullError, VtryonError


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    file: ModelFile
    state: str
    remark: str = ""
    good: bool = True


async def verified(file: ModelFile, models: Path, progress: Progress) -> Outcome:
    """What is in the place of a file, all of it read."""
    state, target = look(file, models), file.target(models)
    if state is State.MISSING:
        return Outcome(file, "missing", f"not in {target.parent}: vtryon models download", good=False)
    if state is State.MINIATURE:
        return Outcome(file, "miniature", "small, for trying vtryon only", good=False)
    if state is State.OTHER:
        return Outcome(file, "wrong", f"{_what_is_there(file, target)}: {_remedy(target)}", good=False)
    reading, done = Reading(target), 0
    try:
        async for length in stepped(reading.blocks()):
            done += length
            progress.at(READING, file.label, done, file.size)
    except OSError as denied:
        return Outcome(file, "unreadable", f"{target}: {denied.strerror}: see who may read it", good=False)
    if reading.sha256() != file.sha256:
        forget(file, models)
        return Outcome(file, "wrong", f"its SHA-256 is {reading.sha256()}: {_remedy(target)}", good=False)
    remember(file, models)
    return Outcome(file, "there", "verified")


async def download(
    files: Sequence[ModelFile],
    models: Path,
    source: Source,
    progress: Progress,
    *,
    side_by_side: int = 4,
    force: bool = False,
    unpinned: bool = False,
    patience: Patience | None = None,
) -> list[Outcome]:
    """Have these files there. What is there already stays: a verified file as it is, anything else unless forced.

    Whoever calls this has the folder's lock."""
    patience = patience or Patience()
    async with _client(patience) as client:
        turns = asyncio.Semaphore(side_by_side)
        if unpinned:
            files = [await _as_published(file, source, client, patience, progress) for file in files]

        async def prepared(file: ModelFile) -> Outcome | None:
            async with turns:
                return await _before(file, models, progress, force=force)

        async def fetched(file: ModelFile) -> Outcome:
            async with turns:
                return await _fetched(Fetch(source, client, file, patience, progress), file, models)

        known = await asyncio.gather(*map(prepared, files))
        wanted = [file for file, outcome in zip(files, known, strict=True) if outcome is None]
        check_space(wanted, models)
        new = dict(zip(wanted, await asyncio.gather(*map(fetched, wanted)), strict=True))
        return [outcome or new[file] for file, outcome in zip(files, known, strict=True)]


def check_space(files: Sequence[ModelFile], models: Path) -> None:
    """Before the first byte of them comes. Folders may lie on several disks."""
    wanted: Counter[int] = Counter()
    places: dict[int, Path] = {}
    for file in files:
        target = file.target(models)
        folder = next(each for each in target.parents if each.exists())
        disk = folder.stat().st_dev
        places[disk] = folder
        part = part_of(target)
        wanted[disk] += max(0, file.size - (part.stat().st_size if part.is_file() else 0))
    for disk, size in wanted.items():
        free = shutil.disk_usage(places[disk]).free
        if free < size:
            raise StorageFullError(
                f"{readable(size)} are still to be downloaded, and the disk of {places[disk].absolute()} has "
                f"{readable(free)} free. Free {readable(size - free)} there, or set MODEL_DIR to a folder on another "
                "disk. Nothing was downloaded."
            )


@asynccontextmanager
async def _client(patience: Patience) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"User-Agent": f"vtryon/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
    timeout = httpx.Timeout(None, connect=patience.connect_seconds)
    async with httpx.AsyncClient(headers=headers, timeout=timeout) as client:
        yield client


async def _as_published(
    file: ModelFile, source: Source, client: httpx.AsyncClient, patience: Patience, progress: Progress
) -> ModelFile:
    """With the size and the digest that Hugging Face names today."""
    named = await Fetch(source, client, file, patience, progress).named()
    return replace(file, size=named.size, sha256=named.sha256)


async def _before(file: ModelFile, models: Path, progress: Progress, *, force: bool) -> Outcome | None:
    """What there is to say of a file that is not to be downloaded; None if it is."""
    state, target = look(file, models), file.target(models)
    if state is State.THERE:
        return Outcome(file, "there", "verified before")
    if state is State.UNVERIFIED:
        outcome = await verified(file, models, progress)
        return None if force and not outcome.good else outcome
    if state is State.MISSING or (force and not target.is_dir()):
        return None
    if state is State.MINIATURE:
        remark = f"{target} is a miniature: --force replaces it, or set MODEL_DIR to another folder"
        return Outcome(file, "miniature", remark, good=False)
    return Outcome(file, "in the way", f"{_what_is_there(file, target)}: {_remedy(target)}", good=False)


async def _fetched(fetch: Fetch, file: ModelFile, models: Path) -> Outcome:
    """One that fails does not stop the others."""
    try:
        await fetch.to(file.target(models))
    except VtryonError as failed:
        return Outcome(file, "failed", failed.message, good=False)
    remember(file, models)  # not in a thread: two at once would lose what the other one wrote
    return Outcome(file, "fetched", "verified")


def _what_is_there(file: ModelFile, target: Path) -> str:
    if target.is_file():
        return f"{target} has {target.stat().st_size} bytes, not the {file.size} of the file that vtryon knows"
    return f"{target} is no file"


def _remedy(target: Path) -> str:
    if target.is_dir():
        return "move it away"
    return "move it away, or have --force replace it once the right one is there"
