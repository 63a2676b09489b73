"""`--mode files`: a stage behind a folder, until the process is told to end."""

import argparse
import logging
from collections.abc import Sequence
from contextlib import closing

from shared_utils.comfy.one_thread import lend_this_thread
from shared_utils.errors import VtryonError
from shared_utils.signals import stopped_by_signals
from shared_utils.stage import Stage
from shared_utils.telemetry.endpoint import reachable
from shared_utils.transports.files.settings import FilesSettings
from shared_utils.transports.files.worker import Worker

log = logging.getLogger("vtryon.files")


def files_settings(stage: str, arguments: Sequence[str] | None = None) -> FilesSettings:
    """What the flags say, else the environment."""
    parser = argparse.ArgumentParser(
        prog=f"python {stage}/main.py",
        usage="%(prog)s --mode files [options]",
        description="Does the jobs that are dropped into a folder until SIGTERM or Ctrl-C; the one in hand is finished "
        "first.",
        epilog="All other settings come from the environment and .env: see API.md.",
        allow_abbrev=False,
    )
    parser.add_argument("--mode", choices=["files"], help=argparse.SUPPRESS)
    add_folders(parser)
    given = parser.parse_args(arguments)
    return FilesSettings.read(files_inbox=given.inbox, files_outbox=given.outbox)


def add_folders(parser: argparse.ArgumentParser) -> None:
    """The flags that say where jobs lie."""
    parser.add_argument("--inbox", metavar="DIR", help="where jobs are dropped (default: inbox)")
    parser.add_argument("--outbox", metavar="DIR", help="where they come out, in done or failed (default: outbox)")


def run_files(stage: Stage, arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 if it was told to end, 1 if it could not go on."""
    settings = files_settings(stage.name, arguments)
    try:
        with (
            stopped_by_signals() as stopping,
            closing(Worker(stage, settings)) as worker,
            reachable(settings, worker.health, worker.metrics.text),
        ):
            log.info("%s waits for jobs in %s", stage.name, settings.files_inbox)
            lend_this_thread(lambda: worker.run(stopping))
    except VtryonError as failed:
        log.error("%s: %s", failed.code, failed.message)  # noqa: TRY400  the message says it all
        return 1
    return 0
