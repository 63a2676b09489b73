"""The table of topics, and what a cluster is told to have."""

from collections.abc import Iterator

import pytest

from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.settings import KafkaSettings
from shared_utils.transports.kafka.topics import TOPICS, TopicsError

JOINED = {
    "tryon-requests",
    "tryon-responses",
    "tryon-progress",
    "tryon-status",
    "tryon-cancels",
    "latent-encoder-responses",
    "text-encoder-responses",
    "sampling-responses",
    "decoding-responses",
}


@pytest.fixture
def settings() -> Iterator[KafkaSettings]:
    with EmbeddedBroker() as broker:
        yield KafkaSettings(kafka_bootstrap_servers=broker.bootstrap)


def test_the_table() -> None:
    names = [topic.name for topic in TOPICS]
    assert len(names) == len(set(names)) == 19
    assert {topic.name for topic in TOPICS if topic.joined} == JOINED
    for name in names:
        if name.endswith("-requests"):
            assert f"{name}-dlq" in names
            assert topics.dead_letter_topic(name) == f"{name}-dlq"
    assert {topic.name for topic in TOPICS if "compact" in topic.config.get("cleanup.policy", "")} == {"tryon-status"}


def test_names_of_a_stage() -> None:
    assert topics.request_topic("latent_encoder") == "latent-encoder-requests"
    assert topics.response_topic("latent_encoder") == "latent-encoder-responses"
    assert topics.group("latent_encoder") == "latent-encoder-group"


def test_a_cluster_that_has_all(settings: KafkaSettings) -> None:
    assert topics.problems(settings) == []
    topics.check(settings)
    assert topics.counted(settings, "tryon-requests") == {"tryon-requests": 4}


def test_what_is_missing_or_does_not_fit_is_named(settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {topic.name: 8 for topic in TOPICS} | {"decoding-responses": 4, "sampling-requests": 3}
    monkeypatch.setattr(topics, "partition_counts", lambda settings, names: {name: counts[name] for name in names})
    (sentence,) = topics.problems(settings)
    assert "decoding-responses: 4" in sentence
    assert "sampling-requests" not in sentence
    counts |= {"decoding-responses": 8, "tryon-status": 0}
    with pytest.raises(TopicsError, match=r"These topics are missing: tryon-status\. Run `vtryon topics create`"):
        topics.check(settings)
    with pytest.raises(TopicsError, match="No topic tryon-status in Kafka"):
        topics.counted(settings, "tryon-requests", "tryon-status")
