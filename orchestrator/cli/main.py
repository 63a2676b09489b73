"""`vtryon`: the command for the whole. Each group of commands is a module of its own."""

import argparse
import os
import sys
from collections.abc import Sequence

from confluent_kafka import KafkaException

from orchestrator.cli import dlq, doctor, kafka, models, submit, topics, triton, tryons
from shared_utils import __version__
from shared_utils.errors import VtryonError
from shared_utils.settings import Settings
from shared_utils.signals import STOPPED
from shared_utils.telemetry.logs import start_logging
from shared_utils.transports.kafka.client import explained
from shared_utils.transports.kafka.settings import KafkaSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it did what it should, 1 if not, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="vtryon", description="Self-hosted virtual try-on.")
    parser.add_argument("--version", action="version", version=f"vtryon {__version__}")
    groups = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for each in (submit, tryons, doctor, topics, dlq, models, kafka, triton):
        each.add_commands(groups)
    given = parser.parse_args(arguments)

    settings = Settings.read()
    start_logging(settings.log_level, settings.log_format)
    try:
        return int(given.run(settings, given))
    except VtryonError as error:
        print(f"vtryon: {error.message}", file=sys.stderr)  # noqa: T201
        return 1
    except KafkaException as failed:
        print(f"vtryon: {explained(failed, KafkaSettings.read())}", file=sys.stderr)  # noqa: T201
        return 1
    except BrokenPipeError:  # whoever read the output has had enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return STOPPED


if __name__ == "__main__":
    sys.exit(main())
