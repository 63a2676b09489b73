"""Starts a service: reads its settings, makes its stage, and hands it to the way in that --mode names."""

import argparse
import logging
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

from shared_utils.comfy.loader import Models
from shared_utils.signals import STOPPED
from shared_utils.stage import Stage
from shared_utils.telemetry.logs import start_logging
from shared_utils.telemetry.traces import start_traces

log = logging.getLogger("vtryon.serve")

WAYS_IN = {
    "standalone": "cli.standalone",
    "kafka": "kafka.command",
    "rest": "rest.command",
    "grpc": "grpc.command",
    "files": "files.command",
}
"""Each has a function `run_<mode>(stage)`, which gives the exit code. Only the one that is asked for is imported."""


class StageType(Protocol):
    """A stage's class: what it is called, how its settings are read, and how it is made."""

    name: str
    options_type: type[Any]

    def __call__(self, options: Any, models: Models) -> Stage: ...


def serve(stage_type: StageType) -> int:
    """Run a service until it is done; the exit code."""
    options = stage_type.options_type.read()
    start_logging(options.log_level, options.log_format)
    start_traces(options, stage_type.name)
    mode = _mode_given() or options.mode
    # Whoever names one that there is not is told so by the first, which shows them all.
    way_in = mode if mode in WAYS_IN else "standalone"
    try:
        return _way_in(way_in)(make_stage(stage_type, options, Models(options)))
    except KeyboardInterrupt:
        log.warning("stopped")
        return STOPPED


def make_stage(stage_type: StageType, options: Any, models: Models) -> Stage:
    """The stage, or what stands for it where STAGE_BACKEND says that Triton does the work."""
    stage = stage_type(options, models)
    if options.stage_backend == "local":
        return stage
    from shared_utils.transports.triton.settings import TritonSettings  # noqa: PLC0415  as with the ways in
    from shared_utils.transports.triton.stage import TritonStage  # noqa: PLC0415

    return TritonStage(stage, TritonSettings.read())


def _way_in(mode: str) -> Callable[[Stage], int]:
    run: Callable[[Stage], int] = getattr(import_module(f"shared_utils.transports.{WAYS_IN[mode]}"), f"run_{mode}")
    return run


def _mode_given() -> str | None:
    """What --mode says; each way in has flags of its own, and checks them itself."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--mode")
    mode: str | None = parser.parse_known_args(sys.argv[1:])[0].mode
    return mode
