"""The orchestrator's way in: `python orchestrator/main.py --help`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

if __name__ == "__main__":
    # As in the services: the folder above is the one that the packages are in.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from orchestrator.artifacts import Cleaner
from orchestrator.config import Config
from orchestrator.engine import Engine
from shared_utils.errors import VtryonError
from shared_utils.telemetry.logs import start_logging
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.client import Instance
from shared_utils.transports.kafka.codecs import make_codec
from shared_utils.transports.kafka.staying import again_and_again, stopped_by_signals

log = logging.getLogger("vtryon.orchestrator")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python orchestrator/main.py",
        description="Chains the four stages for each try-on asked for on the topic tryon-requests. "
        "Several orchestrators share the work.",
        epilog="All other settings come from the environment and .env: see README.md.",
        allow_abbrev=False,
    )
    parser.add_argument("--kafka-bootstrap-servers", metavar="HOST:PORT", help="(default: localhost:9092)")
    given = parser.parse_args(arguments)
    config = Config.read(kafka_bootstrap_servers=given.kafka_bootstrap_servers)
    start_logging(config.log_level, config.log_format)
    try:
        orchestrate(config)
    except VtryonError as failed:
        log.error("%s: %s", failed.code, failed.message)  # noqa: TRY400  the message says it all
        return 1
    return 0


def orchestrate(config: Config) -> None:
    """Run until the process is told to end."""
    instance = Instance(config, config.kafka_consumer_group)
    with (
        closing(make_codec(config)) as codec,
        closing(Cleaner(config)) as cleaner,
        closing(instance),
        stopped_by_signals() as stopping,
    ):

        def membership() -> None:
            topics.check(config)
            engine = Engine(config, codec, instance.name, cleaner)
            log.info("%s waits for try-ons", instance.name)
            try:
                engine.run(stopping)
            finally:
                engine.close()

        again_and_again(membership, instance.name, stopping)


if __name__ == "__main__":
    sys.exit(main())
