"""The topics: their names, what each is for, and whether a cluster has them as it must."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.cimpl import NewTopic

from shared_utils.errors import VtryonError
from shared_utils.transports.kafka.client import MOST_BYTES, KafkaUnavailableError, admin, explained
from shared_utils.transports.kafka.settings import KafkaSettings

STAGES = ("latent_encoder", "text_encoder", "sampling", "decoding")
"""In the order of the workflow."""

TRYON_REQUESTS = "tryon-requests"
TRYON_RESPONSES = "tryon-responses"
TRYON_PROGRESS = "tryon-progress"
TRYON_STATUS = "tryon-status"
TRYON_CANCELS = "tryon-cancels"
STAGE_CANCELS = "stage-cancels"

PARTITIONS = 8
TIMEOUT = 20.0
READY_SECONDS = 120.0
"""A slow disk takes so long for the files of two hundred partitions, at the most."""
DAY_MS = 24 * 3600 * 1000


def request_topic(stage: str) -> str:
    return f"{stage.replace('_', '-')}-requests"


def response_topic(stage: str) -> str:
    return f"{stage.replace('_', '-')}-responses"


def group(stage: str) -> str:
    return f"{stage.replace('_', '-')}-group"


def dead_letter_topic(requests: str) -> str:
    return f"{requests}-dlq"


@dataclass(frozen=True)
class Topic:
    name: str
    purpose: str
    joined: bool = False
    """One of those that must have the same number of partitions: a try-on lives on one partition number."""
    config: dict[str, str] = field(default_factory=dict)


def _kept(days: int) -> dict[str, str]:
    return {"retention.ms": str(days * DAY_MS)}


# A dead letter is what was too long for its topic, and its history besides.
_DEAD_LETTERS = _kept(28) | {"max.message.bytes": str(MOST_BYTES)}


def _of_a_stage(stage: str) -> list[Topic]:
    requests, responses = request_topic(stage), response_topic(stage)
    return [
        Topic(requests, f"What {stage} is asked.", config=_kept(7)),
        Topic(responses, f"What {stage} answers.", joined=True, config=_kept(7)),
        Topic(dead_letter_topic(requests), f"Requests that {stage} could not do.", config=_DEAD_LETTERS),
    ]


TOPICS: tuple[Topic, ...] = (
    Topic(TRYON_REQUESTS, "Try-ons asked for.", joined=True, config=_kept(7)),
    Topic(TRYON_RESPONSES, "How try-ons ended.", joined=True, config=_kept(7)),
    Topic(TRYON_PROGRESS, "Step by step news of try-ons.", joined=True, config=_kept(1)),
    # The orchestrator's memory. Ended try-ons leave after a week; those in flight are written again and again.
    Topic(
        TRYON_STATUS,
        "The state of each try-on.",
        joined=True,
        config=_kept(7) | {"cleanup.policy": "compact,delete", "min.cleanable.dirty.ratio": "0.1"},
    ),
    Topic(TRYON_CANCELS, "Try-ons that are to stop.", joined=True, config=_kept(1)),
    Topic(dead_letter_topic(TRYON_REQUESTS), "Try-ons that could not be done.", config=_DEAD_LETTERS),
    Topic(STAGE_CANCELS, "Requests to stages that nobody waits for any more.", config=_kept(1)),
    *(topic for stage in STAGES for topic in _of_a_stage(stage)),
)


class TopicsError(VtryonError):
    """Topics are missing, or have numbers of partitions that do not fit together."""

    code = "TOPICS_WRONG"


def partition_counts(settings: KafkaSettings, names: Iterable[str]) -> dict[str, int]:
    """How many partitions each of these topics has; 0 if there is no such topic."""
    client = admin(settings)
    return {name: _partitions(client, settings, name) for name in names}


def _partitions(client: AdminClient, settings: KafkaSettings, name: str) -> int:
    # One by one: asked for all at once, a broker that makes topics when they are first used would not make them.
    try:
        found = client.list_topics(name, timeout=TIMEOUT).topics[name]
    except KafkaException as failed:
        raise KafkaUnavailableError(explained(failed, settings)) from None
    return 0 if found.error is not None else len(found.partitions)


def counted(settings: KafkaSettings, *names: str) -> dict[str, int]:
    """How many partitions each of these topics has; all of them must be there."""
    counts = partition_counts(settings, names)
    if missing(counts):
        raise TopicsError(f"No topic {', '.join(missing(counts))} in Kafka. Run `vtryon topics create`.")
    return counts


def missing(counts: Mapping[str, int]) -> list[str]:
    """Which topics there are none of."""
    return [name for name, count in counts.items() if count == 0]


def uneven(counts: Mapping[str, int]) -> str | None:
    """What is wrong with the numbers of partitions, if anything is."""
    joined = {topic.name: counts[topic.name] for topic in TOPICS if topic.joined and counts.get(topic.name)}
    if len(set(joined.values())) <= 1:
        return None
    listed = ", ".join(f"{name}: {count}" for name, count in joined.items())
    return f"These topics must have the same number of partitions: {listed}."


def problems(settings: KafkaSettings) -> list[str]:
    """What is wrong with a cluster's topics, a sentence each."""
    counts = partition_counts(settings, (topic.name for topic in TOPICS))
    absent, unfitting = missing(counts), uneven(counts)
    found = [f"These topics are missing: {', '.join(absent)}."] if absent else []
    return found + ([unfitting] if unfitting else [])


def check(settings: KafkaSettings) -> None:
    """Go on only if the topics are as they must be."""
    wrong = problems(settings)
    if wrong:
        raise TopicsError(f"{' '.join(wrong)} Run `vtryon topics create`, or see docs/KAFKA_SCHEMAS.md.")


def create(settings: KafkaSettings, partitions: int = PARTITIONS, replication: int = -1) -> list[str]:
    """Make the topics that are missing; their names. -1 is the replication that the cluster gives by default."""
    counts = partition_counts(settings, (topic.name for topic in TOPICS))
    client = admin(settings)
    wanted = [
        NewTopic(topic.name, num_partitions=partitions, replication_factor=replication, config=topic.config)
        for topic in TOPICS
        if counts[topic.name] == 0
    ]
    if not wanted:
        return []
    try:
        for made in client.create_topics(wanted, operation_timeout=TIMEOUT, request_timeout=TIMEOUT).values():
            made.result()
    except KafkaException as failed:
        raise TopicsError(f"The topics could not be made: {explained(failed, settings)}") from None
    _wait_for(client, settings, [TopicPartition(topic.topic, each) for topic in wanted for each in range(partitions)])
    return [topic.topic for topic in wanted]


def _wait_for(client: AdminClient, settings: KafkaSettings, partitions: list[TopicPartition]) -> None:
    """Until each can be read and written. Kafka says that a topic is made before its brokers have made its files."""
    latest: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    deadline = time.monotonic() + READY_SECONDS
    while True:
        asked = client.list_offsets(dict.fromkeys(partitions, latest), request_timeout=TIMEOUT)
        failures = [failed for answer in asked.values() if isinstance(failed := answer.exception(), KafkaException)]
        if not failures:
            return
        if time.monotonic() > deadline:
            raise TopicsError(f"The topics are made, and can't be used yet: {explained(failures[0], settings)}")
        client.poll(0.1)
