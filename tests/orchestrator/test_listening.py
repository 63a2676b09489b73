"""Hearing of some try-ons, and of no others."""

from collections.abc import Iterator

import pytest

from orchestrator.config import Config
from orchestrator.listening import Listener
from orchestrator.state import TryOn
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.topics import TRYON_STATUS
from tests.kafka.support import connection, emptied, fresh, say
from tests.orchestrator.cli.orchestrating import succeeded, tell, tryon


@pytest.fixture
def config() -> Iterator[Config]:
    with EmbeddedBroker() as broker:
        emptied(broker)
        yield Config(**connection(broker))


def test_of_those_from_now_on(config: Config) -> None:
    first, second, other = fresh(), fresh(), fresh()
    tell(config, tryon(first, state="cancelled"))  # before: not heard of
    with Listener(config, JsonCodec(), first, second) as listener:
        for name in (other, first, other, second):
            tell(config, tryon(name))
            say(config, TRYON_STATUS, b"no JSON", None, key=name)
        tell(config, succeeded(second))
        heard = []
        for news in listener.news():
            if news is not None:
                assert isinstance(news, TryOn) or news.correlation_id == second
                heard.append((news.correlation_id, getattr(news, "state", "answer")))
            if len(heard) == 4:
                break
    assert sorted(heard) == sorted([(first, "running"), (second, "running"), (second, "succeeded"), (second, "answer")])
