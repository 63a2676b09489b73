"""`vtryon models download`: the real models, from Hugging Face or a mirror."""

import argparse
import asyncio
import contextlib
import fcntl
import logging
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from shared_utils.downloads import files
from shared_utils.downloads.download import Outcome, download, verified
from shared_utils.downloads.files import ModelFile, readable
from shared_utils.downloads.progress import Progress, shown_progress
from shared_utils.downloads.settings import DownloadSettings
from shared_utils.downloads.shelf import State, look
from shared_utils.downloads.source import Source
from shared_utils.errors import OutputDirNotWritableError, failing_as
from shared_utils.settings import Settings, one_process_at_a_time

SIDE_BY_SIDE = 4
LOCK = ".download.lock"


def add_command(commands: Any) -> None:
    """Add the command to the group of the models."""
    command = commands.add_parser(
        "download",
        help="download the real models",
        description="Download the workflow's four files, 32 GB, to MODEL_DIR: resumed where it stopped, and held "
        "against their SHA-256 before they take their place. What is there is not downloaded again. HF_ENDPOINT names "
        "a mirror, HF_TOKEN an access token. Exit code 0 if all four are there and right.",
    )
    command.add_argument("--check", action="store_true", help="download nothing: read what is there, and say if right")
    command.add_argument(
        "--parallel", type=_count, default=SIDE_BY_SIDE, metavar="COUNT", help="files at once (default: %(default)s)"
    )
    command.add_argument(
        "--force", action="store_true", help="replace miniatures and other files of those names, once the right is here"
    )
    command.add_argument(
        "--unpinned",
        action="store_true",
        help="for files that were published anew: take the SHA-256 that Hugging Face names, not the one vtryon knows",
    )
    command.set_defaults(run=download_models)


def download_models(settings: Settings, given: argparse.Namespace) -> int:
    """1 if one of the files is not there or not right in the end."""
    settings = DownloadSettings.read()
    with _ended_by_sigterm(), shown_progress(settings.log_format) as progress:
        if given.check:
            outcomes = asyncio.run(_verified(settings.model_dir, progress))
        else:
            outcomes = _downloaded(settings, given, progress)
    return _report(outcomes, settings.model_dir)


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """As by Ctrl-C. Without this, the first process of a container would not hear it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def _verified(models: Path, progress: Progress) -> list[Outcome]:
    return [await verified(file, models, progress) for file in files.WORKFLOW]


def _downloaded(settings: DownloadSettings, given: argparse.Namespace, progress: Progress) -> list[Outcome]:
    source, models = Source(settings.hf_endpoint, settings.hf_token), settings.model_dir
    wanted = [file for file in files.WORKFLOW if look(file, models) is not State.THERE]
    if not wanted and not given.unpinned:
        return [Outcome(file, "there", "verified before") for file in files.WORKFLOW]
    for library in ("httpx", "httpcore"):  # with LOG_LEVEL=DEBUG they would write links with signatures into the log
        logging.getLogger(library).setLevel(logging.WARNING)
    _announce(wanted, source, models)
    with _alone(models, progress):
        try:
            return asyncio.run(
                download(
                    files.WORKFLOW,
                    models,
                    source,
                    progress,
                    side_by_side=given.parallel,
                    force=given.force,
                    unpinned=given.unpinned,
                )
            )
        except KeyboardInterrupt:
            progress.say("stopped. What has arrived is kept: run it again to go on")
            raise


def _announce(wanted: Sequence[ModelFile], source: Source, models: Path) -> None:
    """What comes from where, and under which licence: before any of it comes."""
    _print(f"What is missing or not right comes from {source} to {models.absolute()}:")
    for file in wanted:
        _print(f"  {file.label}  {readable(file.size)}  {file.repository}  licence: {file.licence}")
    _print("The licences are those that their publishers name there; using the models is subject to them.")


@contextlib.contextmanager
def _alone(models: Path, progress: Progress) -> Iterator[None]:
    """With the folder for this process; a second one waits, and then finds the files there."""
    lock = models / LOCK
    with contextlib.ExitStack() as held:
        with failing_as(OutputDirNotWritableError, f"writing to {models.absolute()}"):
            models.mkdir(parents=True, exist_ok=True)
            if _is_taken(lock):
                progress.say(f"another process downloads to {models.absolute()}: waiting for it")
            held.enter_context(one_process_at_a_time(lock))
        yield


def _is_taken(lock: Path) -> bool:
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _report(outcomes: Sequence[Outcome], models: Path) -> int:
    for outcome in outcomes:
        _print(f"{outcome.state:<10} {outcome.file.label:<66} {readable(outcome.file.size):>8}  {outcome.remark}")
    bad = [outcome for outcome in outcomes if not outcome.good]
    if bad:
        _print(f"\nNot right: {len(bad)} of {len(outcomes)} files in {models.absolute()}.")
    return 1 if bad else 0


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 16):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 16")
    return int(text)


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201
