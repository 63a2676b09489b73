"""One process with several stages behind Kafka: `python -m shared_utils.worker --stages latent_encoder,decoding`.

For one GPU: the stages share their models and one memory manager. Which stages there are, the installed packages say:
the entry points of the group vtryon.stages.
"""

import argparse
import logging
from collections.abc import Sequence
from importlib.metadata import entry_points

from shared_utils.comfy.loader import Models
from shared_utils.ending import leave
from shared_utils.serve import StageType, make_stage
from shared_utils.telemetry.logs import start_logging
from shared_utils.telemetry.traces import start_traces
from shared_utils.transports.kafka.command import run_together
from shared_utils.transports.kafka.settings import WorkerSettings

log = logging.getLogger("vtryon.worker")


def main(arguments: Sequence[str] | None = None) -> int:
    known = {each.name: each for each in entry_points(group="vtryon.stages")}
    parser = argparse.ArgumentParser(
        prog="python -m shared_utils.worker",
        description="Answers requests to several stages from Kafka, in one process that loads each model once.",
        epilog="All other settings come from the environment and .env: see docs/SETTINGS.md.",
        allow_abbrev=False,
    )
    parser.add_argument("--stages", required=True, metavar="STAGE,...", help=f"any of {', '.join(known)}")
    parser.add_argument("--kafka-bootstrap-servers", metavar="HOST:PORT", help="(default: localhost:9092)")
    given = parser.parse_args(arguments)
    wanted = dict.fromkeys(name.strip() for name in given.stages.split(","))
    unknown = [name for name in wanted if name not in known]
    if unknown:
        parser.error(f"no stage {', '.join(unknown)}: there are {', '.join(known)}")

    settings = WorkerSettings.read(kafka_bootstrap_servers=given.kafka_bootstrap_servers)
    start_logging(settings.log_level, settings.log_format)
    start_traces(settings, "worker")
    models = Models(settings)
    kinds: list[StageType] = [known[name].load() for name in wanted]
    return run_together([make_stage(kind, kind.options_type.read(), models) for kind in kinds], settings)


if __name__ == "__main__":
    leave(main())
