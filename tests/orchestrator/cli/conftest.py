"""A broker in memory for the commands, no setting of the user's, and nobody's logging changed by them."""

from collections.abc import Iterator

import pytest

from orchestrator.cli.server import ServerSettings
from orchestrator.config import Config
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.messages import JsonCodec


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.cli.main.start_logging", lambda level, form: None)


@pytest.fixture(autouse=True)
def _nothing_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*Config.model_fields, *ServerSettings.model_fields):
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def config(embedded_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The settings that commands read, too."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", embedded_broker.bootstrap)
    monkeypatch.setenv("KAFKA_PROPERTIES", '{"fetch.wait.max.ms": 10}')
    return Config()


@pytest.fixture
def codec() -> JsonCodec:
    return JsonCodec()
