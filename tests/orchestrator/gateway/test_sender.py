"""The producer that stays open: deliveries that are waited for, and those that never come."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from orchestrator.gateway.sender import Sender
from shared_utils.transports.kafka.client import KafkaUnavailableError
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.sending import Outgoing
from shared_utils.transports.kafka.settings import KafkaSettings
from tests.kafka.support import connection, everything, fresh, wait_topics


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as made:
        yield made


def test_where_they_lie(broker: EmbeddedBroker) -> None:
    settings, topic = KafkaSettings(**connection(broker)), fresh("topic")
    wait_topics(settings, topic)
    records = [Outgoing(topic, str(n), b"%d" % n, {"correlation_id": str(n)}) for n in range(100)]
    with Sender(settings) as sender:
        places = asyncio.run(sender.send(*records))
        assert asyncio.run(sender.send(Outgoing(topic, None, b"more", partition=2)))[0].partition == 2
    found = {(each.partition, each.offset): each for each in everything(settings, topic)}
    for record, place in zip(records, places, strict=True):
        seen = found[place.partition, place.offset]
        assert (seen.key, seen.headers) == (record.key, {"correlation_id": record.key})


def test_the_loop_goes_on_while_kafka_is_away(broker: EmbeddedBroker) -> None:
    settings = KafkaSettings(
        kafka_bootstrap_servers="localhost:1", kafka_properties={"message.timeout.ms": 300, "log_level": 0}
    )
    turns = 0

    async def send() -> None:
        nonlocal turns
        sending = asyncio.ensure_future(sender.send(*[Outgoing("topic", None, b"lost")] * 3))
        while not sending.done():
            turns += 1
            await asyncio.sleep(0)
        with pytest.raises(KafkaUnavailableError):
            await sending

    with Sender(settings) as sender:
        asyncio.run(send())
    assert turns > 10


def test_a_full_queue_is_said_at_once() -> None:
    properties = {"queue.buffering.max.messages": 1, "message.timeout.ms": 300, "log_level": 0}
    settings = KafkaSettings(kafka_bootstrap_servers="localhost:1", kafka_properties=properties)
    with Sender(settings) as sender, pytest.raises(KafkaUnavailableError, match="too much"):
        asyncio.run(sender.send(*[Outgoing("topic", None, b"lost")] * 2))


class Fenced:
    """A producer after a fatal error."""

    def produce(self, *given: Any, **named: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL))

    def poll(self, seconds: float) -> None:
        threading.Event().wait(0.01)


def test_a_producer_that_is_done_for_is_replaced(broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, topic = KafkaSettings(**connection(broker)), fresh("topic")
    wait_topics(settings, topic)
    with Sender(settings) as sender:
        monkeypatch.setattr(sender, "_producer", Fenced())
        with pytest.raises(KafkaUnavailableError):
            asyncio.run(sender.send(Outgoing(topic, None, b"lost")))
        asyncio.run(sender.send(Outgoing(topic, None, b"sent")))
    assert len(everything(settings, topic)) == 1


def test_an_answer_that_nobody_waits_for_any_more(broker: EmbeddedBroker) -> None:
    settings, topic = KafkaSettings(**connection(broker)), fresh("topic")
    wait_topics(settings, topic)

    async def give_up() -> None:
        sending = asyncio.ensure_future(sender.send(Outgoing(topic, None, b"sent all the same")))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    with Sender(settings) as sender:
        asyncio.run(give_up())
    assert len(everything(settings, topic)) == 1
