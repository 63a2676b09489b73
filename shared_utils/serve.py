"""Starts a service: reads its settings, makes its stage, and hands it to the way in that --mode names."""

import argparse
import logging
import sys
from typing import Any, Protocol

from shared_utils.comfy.loader import Models
from shared_utils.stage import Stage
from shared_utils.telemetry.logs import start_logging
from shared_utils.transports.cli.standalone import run_standalone
from shared_utils.transports.kafka.command import run_kafka, worker_settings

log = logging.getLogger("vtryon.serve")

STOPPED = 130
"""What shells report of a command that was stopped by Ctrl-C."""


class StageType(Protocol):
    """A stage's class: what it is called, how its settings are read, and how it is made."""

    name: str
    options_type: type[Any]

    def __call__(self, options: Any, models: Models) -> Stage: ...


def serve(stage_type: StageType) -> int:
    """Run a service until it is done; the exit code."""
    options = stage_type.options_type.read()
    start_logging(options.log_level, options.log_format)
    try:
        if (_mode_given() or options.mode) == "kafka":
            settings = worker_settings(stage_type.name)
            return run_kafka([stage_type(options, Models(options))], settings)
        return run_standalone(stage_type(options, Models(options)), options)
    except KeyboardInterrupt:
        log.warning("stopped")
        return STOPPED


def _mode_given() -> str | None:
    """What --mode says; each way in has flags of its own, and checks them itself."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--mode")
    mode: str | None = parser.parse_known_args(sys.argv[1:])[0].mode
    return mode
