"""Puppets as a process of their own: stage_process.py NAME,... FOLDER. All else comes from the environment."""

import sys
from pathlib import Path

from shared_utils.telemetry.logs import start_logging
from shared_utils.telemetry.traces import start_traces
from shared_utils.transports.kafka.command import run_together
from shared_utils.transports.kafka.settings import WorkerSettings
from tests.kafka.support import Puppet

if __name__ == "__main__":
    settings = WorkerSettings.read()
    start_logging(settings.log_level, settings.log_format)
    names = sys.argv[1].split(",")
    start_traces(settings, names[0] if len(names) == 1 else "worker")
    sys.exit(run_together([Puppet(name, Path(sys.argv[2])) for name in names], settings))
