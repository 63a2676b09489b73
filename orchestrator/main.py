"""The orchestrator's way in: `python orchestrator/main.py --help`."""

import argparse
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # As in the services: the folder above is the one that the packages are in.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from orchestrator.artifacts import Cleaner
from orchestrator.config import Config
from orchestrator.counts import Counts
from orchestrator.engine import SOURCES, Engine
from shared_utils.errors import VtryonError
from shared_utils.signals import stopped_by_signals
from shared_utils.telemetry.endpoint import reachable
from shared_utils.telemetry.health import Health
from shared_utils.telemetry.logs import start_logging
from shared_utils.telemetry.traces import start_traces
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.client import Instance
from shared_utils.transports.kafka.codecs import make_codec
from shared_utils.transports.kafka.lag import watched_lag
from shared_utils.transports.kafka.staying import again_and_again

log = logging.getLogger("vtryon.orchestrator")

MODES = {
    "kafka": "chains the four stages for each try-on asked for on the topic tryon-requests; several share the work",
    "gateway": "takes and shows try-ons over HTTP and gRPC, with a web page; several show the same",
    "both": "the two in one process",
    "files": "takes try-ons from a folder: see `--mode files --help`",
}


def main(arguments: Sequence[str] | None = None) -> int:
    if _mode(arguments) == "files":
        from orchestrator.files import run_files  # noqa: PLC0415  what the others do not need

        return run_files(arguments)
    given = _parser().parse_args(arguments)
    config = _config_type(given.mode).read(kafka_bootstrap_servers=given.kafka_bootstrap_servers)
    start_logging(config.log_level, config.log_format)
    start_traces(config, "gateway" if given.mode == "gateway" else "orchestrator")
    try:
        if given.mode == "kafka":
            orchestrate(config)
        else:
            open_door(config, with_engine=given.mode == "both")
    except VtryonError as failed:
        log.error("%s: %s", failed.code, failed.message)  # noqa: TRY400  the message says it all
        return 1
    return 0


def orchestrate(config: Config) -> None:
    """Run until the process is told to end."""
    with stopped_by_signals() as stopping:
        run_engine(config, stopping)


def open_door(config: Any, *, with_engine: bool) -> None:
    """A gateway, alone or with an engine: where one ends, so does the other."""
    from orchestrator.gateway.process import run_gateway  # noqa: PLC0415  an engine alone has no use for it

    parts = [run_gateway, run_engine] if with_engine else [run_gateway]
    with stopped_by_signals() as stopping, ThreadPoolExecutor(len(parts)) as pool:
        running = [pool.submit(_run_part, part, config, stopping) for part in parts]
    for each in running:
        each.result()


def _run_part(part: Callable[[Any, threading.Event], None], config: Config, stopping: threading.Event) -> None:
    try:
        part(config, stopping)
    finally:
        stopping.set()


def run_engine(config: Config, stopping: threading.Event) -> None:
    """Chain the stages until `stopping` is set."""
    instance = Instance(config, config.kafka_consumer_group)
    health = Health()
    health.ends_with(stopping)
    part = health.part("engine")
    part.runs_in(threading.current_thread())
    counts = Counts(lambda: health.ready)
    with (
        reachable(config, health, counts.text),
        watched_lag(config, {config.kafka_consumer_group: SOURCES}, counts),
        closing(make_codec(config)) as codec,
        closing(Cleaner(config)) as cleaner,
        closing(instance),
    ):

        def membership() -> None:
            part.turn()
            topics.check(config)
            engine = Engine(config, codec, instance.name, cleaner, counts, part)
            log.info("%s waits for try-ons", instance.name)
            try:
                engine.run(stopping)
            finally:
                engine.close()

        again_and_again(membership, instance.name, stopping)


def _mode(arguments: Sequence[str] | None) -> str | None:
    """What --mode says. Files have flags of their own, and check them themselves."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--mode")
    mode: str | None = parser.parse_known_args(arguments)[0].mode
    return mode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python orchestrator/main.py",
        description="\n".join(f"{mode:<9}{meaning}" for mode, meaning in MODES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="All other settings come from the environment and .env: see docs/SETTINGS.md.",
        allow_abbrev=False,
    )
    parser.add_argument("--mode", choices=MODES, default="kafka", help="what this process is (default: kafka)")
    parser.add_argument("--kafka-bootstrap-servers", metavar="HOST:PORT", help="(default: localhost:9092)")
    return parser


def _config_type(mode: str) -> type[Config]:
    if mode == "kafka":
        return Config
    from orchestrator.gateway.settings import GatewayConfig  # noqa: PLC0415

    return GatewayConfig


if __name__ == "__main__":
    sys.exit(main())
