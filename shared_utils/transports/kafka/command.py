"""`--mode kafka`: a stage behind Kafka, until the process is told to end."""

import argparse
import logging
from collections.abc import Sequence

from shared_utils.errors import VtryonError
from shared_utils.stage import Stage
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.host import run_workers
from shared_utils.transports.kafka.settings import WorkerSettings

log = logging.getLogger("vtryon.kafka")


def worker_settings(stage: str, arguments: Sequence[str] | None = None) -> WorkerSettings:
    """What the flags say, else the environment."""
    parser = argparse.ArgumentParser(
        prog=f"python {stage}/main.py",
        usage="%(prog)s --mode kafka [options]",
        description="Answers requests from Kafka until SIGTERM or Ctrl-C; the one in hand is finished first.",
        epilog="All other settings come from the environment and .env: see API.md.",
        allow_abbrev=False,
    )
    parser.add_argument("--mode", choices=["kafka"], help=argparse.SUPPRESS)
    parser.add_argument("--kafka-bootstrap-servers", metavar="HOST:PORT", help="(default: localhost:9092)")
    parser.add_argument("--request-topic", metavar="TOPIC", help=f"(default: {topics.request_topic(stage)})")
    parser.add_argument("--response-topic", metavar="TOPIC", help=f"(default: {topics.response_topic(stage)})")
    parser.add_argument("--consumer-group", metavar="GROUP", help=f"(default: {topics.group(stage)})")
    given = parser.parse_args(arguments)
    return WorkerSettings.read(
        kafka_bootstrap_servers=given.kafka_bootstrap_servers,
        kafka_request_topic=given.request_topic,
        kafka_response_topic=given.response_topic,
        kafka_consumer_group=given.consumer_group,
    )


def run_kafka(stage: Stage) -> int:
    """One stage, with what the command line says."""
    return run_together([stage], worker_settings(stage.name))


def run_together(stages: Sequence[Stage], settings: WorkerSettings) -> int:
    """The exit code: 0 if it was told to end, 1 if it could not go on."""
    code = 0
    try:
        run_workers(stages, settings)
    except VtryonError as failed:
        log.error("%s: %s", failed.code, failed.message)  # noqa: TRY400  the message says it all
        code = 1
    return code
