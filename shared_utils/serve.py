"""Starts a service: reads its settings, makes its stage, and hands it to the way in that --mode names."""

import logging
from typing import Any, Protocol

from shared_utils.comfy.loader import Models
from shared_utils.stage import Stage
from shared_utils.telemetry.logs import start_logging
from shared_utils.transports.cli.standalone import run_standalone

log = logging.getLogger("vtryon.serve")

STOPPED = 130
"""What shells report of a command that was stopped by Ctrl-C."""


class StageType(Protocol):
    """A stage's class: how its settings are read, and how it is made."""

    options_type: type[Any]

    def __call__(self, options: Any, models: Models) -> Stage: ...


def serve(stage_type: StageType) -> int:
    """Run a service until it is done; the exit code."""
    options = stage_type.options_type.read()
    start_logging(options.log_level, options.log_format)
    stage = stage_type(options, Models(options))
    try:
        return run_standalone(stage, options)
    except KeyboardInterrupt:
        log.warning("stopped")
        return STOPPED
