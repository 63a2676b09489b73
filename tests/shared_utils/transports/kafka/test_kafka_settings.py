"""What the environment says about Kafka, and what librdkafka is told."""

import pytest

from shared_utils.transports.kafka.client import explained, make_consumer, make_producer
from shared_utils.transports.kafka.command import worker_settings
from shared_utils.transports.kafka.settings import KafkaSettings, WorkerSettings
from shared_utils.transports.kafka.worker import Names


def test_only_what_is_given_is_passed_on() -> None:
    assert KafkaSettings().client_properties() == {
        "bootstrap.servers": "localhost:9092",
        "security.protocol": "plaintext",
    }


def test_secrets_are_passed_on_and_never_shown() -> None:
    settings = KafkaSettings.model_validate(dict.fromkeys(("kafka_sasl_password", "kafka_ssl_key_password"), "hush"))
    assert settings.client_properties()["sasl.password"] == "hush"
    assert settings.client_properties()["ssl.key.password"] == "hush"
    assert "hush" not in repr(settings)


def test_properties_of_the_environment_go_before_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_GROUP_PROTOCOL", "classic")
    monkeypatch.setenv("KAFKA_PROPERTIES", '{"session.timeout.ms": 45000, "max.poll.interval.ms": 46000}')
    make_consumer(KafkaSettings(), "group").close()
    make_producer(KafkaSettings())
    monkeypatch.setenv("KAFKA_PROPERTIES", '{"max.poll.interval.ms": 1}')
    with pytest.raises(Exception, match=r"max\.poll\.interval\.ms"):
        make_consumer(KafkaSettings(), "group")


def test_flags_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_REQUEST_TOPIC", "of-the-environment")
    monkeypatch.setenv("KAFKA_CONSUMER_GROUP", "of-the-environment")
    settings = worker_settings("sampling", ["--mode", "kafka", "--request-topic", "mine"])
    names = Names.of("sampling", settings)
    assert (names.requests, names.responses, names.group) == ("mine", "sampling-responses", "of-the-environment")


def test_names_unless_told() -> None:
    names = Names.of("latent_encoder", WorkerSettings())
    assert (names.requests, names.group) == ("latent-encoder-requests", "latent-encoder-group")


def test_errors_say_where_and_what_to_look_at() -> None:
    from confluent_kafka import KafkaError

    said = explained(KafkaError(KafkaError._ALL_BROKERS_DOWN), KafkaSettings(kafka_bootstrap_servers="there:1"))
    for part in ("there:1", "_ALL_BROKERS_DOWN", "KAFKA_BOOTSTRAP_SERVERS", "vtryon doctor"):
        assert part in said
