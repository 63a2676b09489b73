"""`--mode rest`: a stage behind HTTP, until the process is told to end."""

import argparse
import logging
from collections.abc import Sequence

from shared_utils.comfy.one_thread import lend_this_thread
from shared_utils.errors import VtryonError
from shared_utils.signals import stopped_by_signals
from shared_utils.stage import Stage
from shared_utils.transports.rest.host import serve_stage
from shared_utils.transports.rest.settings import RestSettings

log = logging.getLogger("vtryon.rest")


def rest_settings(stage: str, arguments: Sequence[str] | None = None) -> RestSettings:
    """What the flags say, else the environment."""
    parser = argparse.ArgumentParser(
        prog=f"python {stage}/main.py",
        usage="%(prog)s --mode rest [options]",
        description="Answers requests over HTTP until SIGTERM or Ctrl-C; the one in hand is finished first.",
        epilog="All other settings come from the environment and .env: see API.md.",
        allow_abbrev=False,
    )
    parser.add_argument("--mode", choices=["rest"], help=argparse.SUPPRESS)
    parser.add_argument("--host", metavar="ADDRESS", help="(default: 127.0.0.1)")
    parser.add_argument("--port", metavar="PORT", help="(default: 8000)")
    given = parser.parse_args(arguments)
    return RestSettings.read(rest_host=given.host, rest_port=given.port)


def run_rest(stage: Stage, arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 if it was told to end, 1 if it could not go on."""
    settings = rest_settings(stage.name, arguments)
    try:
        with stopped_by_signals() as stopping:
            lend_this_thread(lambda: serve_stage(stage, settings, stopping))
    except VtryonError as failed:
        log.error("%s: %s", failed.code, failed.message)  # noqa: TRY400  the message says it all
        return 1
    return 0
