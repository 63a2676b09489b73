"""`vtryon topics`: make the topics, and look whether they are as they must be."""

import argparse
from typing import Any

from orchestrator.cli.tables import table
from shared_utils.settings import Settings
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.settings import KafkaSettings

UNEVEN = (
    "A topic can be given more partitions, but not fewer: let all try-ons end, stop the orchestrators, and give all of "
    "these the number of the largest, with Kafka's own kafka-topics.sh --alter."
)


def add_commands(groups: Any) -> None:
    """Add the group to the parser of the whole command."""
    group = groups.add_parser("topics", help="make Kafka's topics, or check them", description=__doc__)
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)

    creating = commands.add_parser(
        "create",
        help="make those that are missing",
        description="Make the topics that are missing. Those that are there stay as they are.",
    )
    creating.add_argument(
        "--partitions",
        type=_positive,
        default=topics.PARTITIONS,
        metavar="N",
        help="of each; at least as many as workers of a stage, and as orchestrators (default: %(default)s)",
    )
    creating.add_argument(
        "--replication", type=_positive, default=-1, metavar="N", help="copies of each (default: as the brokers say)"
    )
    creating.set_defaults(run=create)

    checking = commands.add_parser("check", help="list them; exit code 1 if one is missing or wrong")
    checking.set_defaults(run=check)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def create(settings: Settings, given: argparse.Namespace) -> int:
    """1 if they are not right afterwards: what is there already may not fit."""
    kafka = KafkaSettings.read()
    made = topics.create(kafka, given.partitions, given.replication)
    print("\n".join(f"made {name}" for name in made) if made else "All topics are there.")  # noqa: T201
    return _tell_problems(kafka)


def check(settings: Settings, given: argparse.Namespace) -> int:
    """A row for each topic, then what is wrong."""
    kafka = KafkaSettings.read()
    counts = topics.partition_counts(kafka, (topic.name for topic in topics.TOPICS))
    rows = [
        ["ok" if counts[topic.name] else "missing", topic.name, str(counts[topic.name] or ""), topic.purpose]
        for topic in topics.TOPICS
    ]
    print(table(["state", "topic", " partitions", "purpose"], rows))  # noqa: T201
    return _tell_problems(kafka)


def _tell_problems(kafka: KafkaSettings) -> int:
    """What is wrong, and what to do about each."""
    counts = topics.partition_counts(kafka, (topic.name for topic in topics.TOPICS))
    missing, uneven = topics.missing(counts), topics.uneven(counts)
    if missing:
        print(f"\n{len(missing)} missing. To make them: vtryon topics create")  # noqa: T201
    if uneven:
        print(f"\n{uneven}\n{UNEVEN}")  # noqa: T201
    return 1 if missing or uneven else 0
