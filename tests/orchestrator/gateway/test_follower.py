"""The follower: all that concerns try-ons comes from Kafka into the view, whatever else lies there."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from orchestrator.config import Config
from orchestrator.gateway.models import Cursor
from orchestrator.gateway.view import follower as module
from orchestrator.gateway.view.follower import Follower
from orchestrator.gateway.view.view import View
from orchestrator.taken import make_asker
from orchestrator.workflow import request_id
from shared_utils.contracts import Cancel
from shared_utils.errors import VtryonError
from shared_utils.ports import free_port
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.topics import (
    TOPICS,
    TRYON_PROGRESS,
    TRYON_REQUESTS,
    TRYON_RESPONSES,
    TRYON_STATUS,
)
from tests.kafka.support import PATIENCE, connection, emptied, fresh, say, until
from tests.orchestrator.cli.orchestrating import BEGUN, succeeded, tryon

PARTITION = 2
REQUEST = {"person_image_path": "/p.png", "garment_image_path": "/g.png", "request_id": "r-1"}


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as made:
        emptied(made)
        yield made


@pytest.fixture
def config(broker: EmbeddedBroker) -> Config:
    return Config(**connection(broker) | {"kafka_consumer_group": fresh("engines")})


class Seeing:
    """A view, and the follower that keeps it up to date."""

    def __init__(self, config: Config) -> None:
        self.view = View()
        self.follower = Follower(config, JsonCodec(), self.view)

    def wait(self, name: str, *states: str) -> None:
        """Until the try-on is in one of these states."""
        heard = threading.Event()
        unsubscribe = self.follower.subscribe(name, heard.set)
        try:
            while self.state(name) not in states:
                heard.clear()
                if self.state(name) not in states:
                    assert heard.wait(PATIENCE), f"{name} is {self.state(name)}"
        finally:
            unsubscribe()

    def state(self, name: str) -> str | None:
        found = self.view.tryon(name)
        return None if found is None else found.state


@contextmanager
def seeing(config: Config) -> Iterator[Seeing]:
    made = Seeing(config)
    with closing(made.view), closing(made.follower):
        made.follower.start()
        assert made.follower.ready.wait(PATIENCE)
        yield made


def tell(config: Config, topic: str, value: Any, name: str) -> None:
    say(config, topic, value, key=name, partition=PARTITION, headers={"correlation_id": name})


def progress(name: str, step: str = "sampling", **said: Any) -> dict[str, Any]:
    ids = {"correlation_id": name, "request_id": request_id(name, step, 1), "step": step}
    return ids | {"state": "running", "node": "KSampler", "done": 1, "total": 4, "timestamp": BEGUN.isoformat()} | said


def refusal(name: str, **fields: Any) -> dict[str, Any]:
    error = {"status": "error", "error_code": "INVALID_REQUEST", "error_message": "cfg is wrong."}
    ids = {"request_id": "r-1", "correlation_id": name, "timestamp": BEGUN.isoformat(), "retryable": False}
    return ids | error | fields


def test_all_that_there_is_and_what_comes(config: Config) -> None:
    name, refused, waits = fresh(), fresh(), fresh()
    tell(config, TRYON_REQUESTS, REQUEST, name)
    tell(config, TRYON_REQUESTS, REQUEST | {"correlation_id": refused}, refused)
    tell(config, TRYON_RESPONSES, refusal(refused), refused)
    tell(config, TRYON_STATUS, tryon(name).model_dump(mode="json"), name)
    with seeing(config) as first:
        assert (first.state(name), first.state(refused), first.state(waits)) == ("running", "refused", None)
        tell(config, TRYON_REQUESTS, REQUEST, waits)
        first.wait(waits, "waiting")
        tell(config, TRYON_PROGRESS, progress(name), name)
        tell(config, TRYON_STATUS, succeeded(name).model_dump(mode="json"), name)
        first.wait(name, "succeeded")
        until(lambda: len(first.view.events(name, Cursor(), 10)) == 3, "the progress has come, too")
        with seeing(config) as second:
            for each in (name, refused, waits):
                assert second.view.body(each) == first.view.body(each)
                assert second.view.events(each, Cursor(), 10) == first.view.events(each, Cursor(), 10)
            assert second.view.list(None, 50, None) == first.view.list(None, 50, None)


@pytest.mark.parametrize("topic", [TRYON_STATUS, TRYON_PROGRESS, TRYON_RESPONSES, TRYON_REQUESTS])
@pytest.mark.parametrize("value", [b"", b"no JSON", b"[]", b"x" * 1_000_001, {"correlation_id": 5, "status": "error"}])
def test_what_can_not_be_read_is_passed_over(
    config: Config, topic: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    name = fresh()
    with seeing(config) as seen:
        tell(config, topic, value, name)
        say(config, topic, value, partition=PARTITION)
        tell(config, TRYON_STATUS, tryon(name).model_dump(mode="json"), name)
        seen.wait(name, "running")
    assert "trying again" not in caplog.text


def test_a_tombstone(config: Config) -> None:
    name = fresh()
    with seeing(config) as seen:
        tell(config, TRYON_STATUS, tryon(name).model_dump(mode="json"), name)
        seen.wait(name, "running")
        tell(config, TRYON_STATUS, None, name)
        until(lambda: seen.state(name) is None, "it is forgotten")


def test_answers_that_are_no_refusals(config: Config) -> None:
    cancelled, failed, last = fresh(), fresh(), fresh()
    with seeing(config) as seen:
        tell(config, TRYON_RESPONSES, refusal(cancelled, error_code="CANCELLED"), cancelled)
        tell(config, TRYON_RESPONSES, refusal(failed, failed_step="sampling"), failed)
        tell(config, TRYON_RESPONSES, refusal(last), last)
        seen.wait(last, "refused")
        assert seen.state(cancelled) is seen.state(failed) is None


def test_what_was_taken_up_does_not_wait(config: Config) -> None:
    taken, waits = fresh(), fresh()
    for name in (taken, waits):
        tell(config, TRYON_REQUESTS, REQUEST, name)
    with closing(make_asker(config)) as asker:
        end = asker.get_watermark_offsets(TopicPartition(TRYON_REQUESTS, PARTITION))[1]
        asker.commit(offsets=[TopicPartition(TRYON_REQUESTS, PARTITION, end - 1)], asynchronous=False)
        with seeing(config) as seen:
            assert (seen.state(taken), seen.state(waits)) == (None, "waiting")
            found = seen.view.get(waits)
            assert found is not None
            # Nothing ever comes of this one, as of one that can't be read.
            asker.commit(offsets=[TopicPartition(TRYON_REQUESTS, PARTITION, end)], asynchronous=False)
            until(lambda: seen.state(waits) is None, "it waits no more")


def test_a_registry_that_is_away_is_waited_for(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    class AwayError(VtryonError):
        retryable = True

    class Away(JsonCodec):
        times = 0

        def decode(self, topic: str, value: bytes) -> dict[str, Any]:
            if name.encode() in value and self.times < 1:
                self.times += 1
                raise AwayError("no registry answers")
            return super().decode(topic, value)

    name = fresh()
    with seeing(config) as seen:
        seen.follower._codec = Away()
        tell(config, TRYON_STATUS, tryon(name).model_dump(mode="json"), name)
        seen.wait(name, "running")
    assert "no registry answers" in caplog.text


def test_how_far_behind_it_is(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gate(JsonCodec):
        opened = threading.Event()

        def decode(self, topic: str, value: bytes) -> dict[str, Any]:
            assert self.opened.wait(PATIENCE)
            return super().decode(topic, value)

    monkeypatch.setattr(module, "LAG_SECONDS", 0)
    name = fresh()
    tell(config, TRYON_STATUS, tryon(name).model_dump(mode="json"), name)
    made = Seeing(config)
    made.follower._codec = Gate()
    with closing(made.view), closing(made.follower):
        made.follower.start()
        until(lambda: made.follower.lag() > 0, "it is behind")
        assert not made.follower.ready.is_set()
        Gate.opened.set()
        until(lambda: made.follower.lag() == 0, "it is not any more")
        assert made.follower.ready.wait(PATIENCE)


def test_progress_of_no_try_on_is_nobodys(config: Config) -> None:
    name, last = fresh(), fresh()
    with seeing(config) as seen:
        tell(config, TRYON_STATUS, tryon(name).model_dump(mode="json"), name)
        tell(config, TRYON_PROGRESS, progress(name) | {"correlation_id": None, "request_id": name}, name)
        tell(config, TRYON_PROGRESS, progress(last), last)
        tell(config, TRYON_STATUS, tryon(last).model_dump(mode="json"), last)
        until(lambda: len(seen.view.events(last, Cursor(), 10)) == 2, "both have come")
        assert [event.kind for event in seen.view.events(name, Cursor(), 10)] == ["status"]


def test_other_topics_do_not_concern_it(config: Config) -> None:
    name, last = fresh(), fresh()
    with seeing(config) as seen:
        for topic in TOPICS:
            if topic.name not in (TRYON_STATUS, TRYON_PROGRESS, TRYON_RESPONSES, TRYON_REQUESTS):
                tell(config, topic.name, Cancel(correlation_id=name).model_dump(mode="json"), name)
        tell(config, TRYON_STATUS, tryon(last).model_dump(mode="json"), last)
        seen.wait(last, "running")
        assert seen.state(name) is None


def test_it_ends_without_kafka_and_calls_a_last_time() -> None:
    config = Config(kafka_bootstrap_servers=f"localhost:{free_port()}")
    view, called = View(), threading.Event()
    follower = Follower(config, JsonCodec(), view)
    follower.start()
    follower.subscribe("a", called.set)
    follower.close()
    assert called.is_set()
    assert not follower.ready.is_set()
    view.close()
