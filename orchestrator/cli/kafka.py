"""`vtryon kafka`: Apache Kafka on this machine for development, without a container."""

import argparse
from pathlib import Path
from typing import Any

from shared_utils.settings import Settings, cache_dir
from shared_utils.transports.kafka import apache

PORT = 9092


def add_commands(groups: Any) -> None:
    """Add the group to the parser of the whole command."""
    group = groups.add_parser("kafka", help="start and stop an Apache Kafka for development", description=__doc__)
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)

    starting = commands.add_parser(
        "start",
        help="start it in the background",
        description="Start one node in the background that only this machine can reach, and wait until it answers. "
        f"Needs Java {apache.JAVA}; the first time also Maven, which fetches Kafka's jars, about 43 MB, into the "
        "cache. Topics are for `vtryon topics create` to make.",
    )
    starting.add_argument("--port", type=_port, default=PORT, help="to listen on (default: %(default)s)")
    starting.set_defaults(run=start_kafka)

    stopping = commands.add_parser("stop", help="end it; what it stored stays")
    stopping.set_defaults(run=stop_kafka)

    status = commands.add_parser("status", help="say whether it runs; exit code 1 if not")
    status.set_defaults(run=show_status)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 1 to {2**16 - 1}")
    return int(text)


def _data() -> Path:
    return cache_dir() / "kafka" / "data"


def start_kafka(settings: Settings, given: argparse.Namespace) -> int:
    """Start it, unless it runs."""
    if apache.running(_data()):
        print("Apache Kafka runs already.")  # noqa: T201
    else:
        print(f"Starting Apache Kafka {apache.VERSION}.", flush=True)  # noqa: T201
        apache.ApacheKafka(_data(), port=given.port).start()
    return show_status(settings, given)


def stop_kafka(settings: Settings, given: argparse.Namespace) -> int:
    """End it, if it runs."""
    ended = apache.end_running(_data())
    print(f"Apache Kafka was ended. Its data stays in {_data()}." if ended else "Apache Kafka does not run.")  # noqa: T201
    return 0


def show_status(settings: Settings, given: argparse.Namespace) -> int:
    """Where it listens, and where its data and its log are."""
    pid = apache.running(_data())
    if pid is None:
        print("Apache Kafka does not run. Start it with: vtryon kafka start")  # noqa: T201
        return 1
    print(f"running  process {pid}")  # noqa: T201
    print(f"address  {apache.address(_data())}")  # noqa: T201
    print(f"data     {_data()}")  # noqa: T201
    print(f"log      {_data() / apache.LOG}")  # noqa: T201
    return 0
