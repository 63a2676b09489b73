"""Callbacks from end to end: what lies on tryon-status reaches a receiver at least once, whoever dies in between."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator.gateway.callbacks import deliveries, webhook
from orchestrator.gateway.callbacks.webhook import GROUP, Webhooks
from orchestrator.gateway.settings import GatewayConfig
from orchestrator.state import TryOn
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.messages import STATE, JsonCodec
from shared_utils.transports.kafka.sending import Outgoing, send
from shared_utils.transports.kafka.topics import TRYON_STATUS
from tests.kafka.support import (
    PARTITIONS,
    PATIENCE,
    Process,
    connection,
    emptied,
    environment,
    fresh,
    unread,
    until,
    wait_all_read,
    wait_members,
)
from tests.orchestrator.cli.orchestrating import failed, succeeded, tryon
from tests.orchestrator.gateway.receiver import HOST, Call, Receiver, receiving

SECRET = "whsec_" + "a" * 44


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def given(broker: EmbeddedBroker | ApacheKafka) -> dict[str, Any]:
    return settings_for(broker)


def settings_for(broker: EmbeddedBroker | ApacheKafka) -> dict[str, Any]:
    emptied(broker)
    return connection(broker) | {"webhook_secret": SECRET, "webhook_allow": [HOST], "webhook_seconds": PATIENCE}


def tell(config: GatewayConfig, state: TryOn, url: str | None, partition: int = 0) -> None:
    """Write its state as an orchestrator does."""
    asked = state.request.model_copy(update={"callback_url": url})
    value = JsonCodec().encode(TRYON_STATUS, state.model_copy(update={"request": asked}))
    send(config, Outgoing(TRYON_STATUS, state.correlation_id, value, {STATE: state.state}, partition))


def webhooks(config: GatewayConfig) -> "closing[Webhooks]":
    made = Webhooks(config, JsonCodec())
    made.start()
    return closing(made)


def told(calls: list[Call], *names: str) -> list[str]:
    """Of these try-ons, those that the calls were about."""
    return [name for name in (json.loads(call.body)["id"] for call in calls) if name in names]


def test_told_how_it_ended(given: dict[str, Any], receiver: Receiver) -> None:
    config, good, bad = GatewayConfig(**given), fresh(), fresh()
    with webhooks(config):
        tell(config, tryon(good), receiver.url())
        tell(config, succeeded(good), receiver.url("/good"))
        tell(config, succeeded(fresh()), None)
        send(config, Outgoing(TRYON_STATUS, good, b"no JSON", partition=0))
        send(config, Outgoing(TRYON_STATUS, good, None, partition=0))
        tell(config, failed(bad), receiver.url("/bad"))
        calls = {call.path: json.loads(call.body) for call in receiver.wait(2)}
        wait_all_read(config, GROUP, TRYON_STATUS)
    assert len(receiver.calls) == 2
    assert (calls["/good"]["id"], calls["/good"]["state"]) == (good, "succeeded")
    assert calls["/good"]["image_path"] == "/out/tryon.png"
    assert (calls["/bad"]["state"], calls["/bad"]["problem"]["code"]) == ("failed", "UNET_MODEL_NOT_FOUND")


def test_tried_again(given: dict[str, Any], receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "FIRST_PAUSE", 0.01)
    config, statuses = GatewayConfig(**given), [503, 200]
    receiver.answer = lambda call: statuses.pop(0)
    with webhooks(config):
        tell(config, succeeded(fresh()), receiver.url())
        first, second = receiver.wait(2)
        wait_all_read(config, GROUP, TRYON_STATUS)
    assert first.name == second.name


def test_nothing_without_a_secret(given: dict[str, Any], receiver: Receiver) -> None:
    config = GatewayConfig(**given | {"webhook_secret": None})
    tell(config, succeeded(fresh()), receiver.url())
    with webhooks(config):
        pass
    assert receiver.calls == []
    with webhooks(GatewayConfig(**given)):  # what was not told then is told now
        receiver.wait(1)
        wait_all_read(config, GROUP, TRYON_STATUS)


def test_what_is_too_much_waits_in_kafka(
    given: dict[str, Any], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "MOST_UNDER_WAY", 2)
    monkeypatch.setattr(webhook, "BATCH", 1)
    config, names, go = GatewayConfig(**given), [fresh() for _ in range(6)], threading.Event()

    def hold(call: Call) -> int:
        go.wait(PATIENCE)
        return 200

    receiver.answer = hold
    with webhooks(config):
        for name in names:
            tell(config, succeeded(name), receiver.url())
        receiver.wait(2)
        assert len(receiver.calls) == 2
        go.set()
        assert sorted(told(receiver.wait(6), *names)) == sorted(names)
        wait_all_read(config, GROUP, TRYON_STATUS)


def test_delivered_by_another_after_a_crash(apache_kafka: ApacheKafka, receiver: Receiver, tmp_path: Path) -> None:
    given = settings_for(apache_kafka)
    config, done, stuck, behind = GatewayConfig(**given), fresh("done"), fresh("stuck"), fresh("behind")
    go = threading.Event()

    def hold(call: Call) -> int:
        if not told([call], stuck):
            return 200
        go.wait(PATIENCE)
        return 500

    receiver.answer = hold
    script = str(Path(__file__).with_name("webhooks_process.py"))
    with Process(script, env=environment(given), log=tmp_path / "log") as process:
        tell(config, succeeded(done), receiver.url())
        wait_all_read(config, GROUP, TRYON_STATUS)
        tell(config, succeeded(stuck), receiver.url())
        tell(config, succeeded(behind), receiver.url())
        receiver.wait(3)
        # What is behind is delivered, but counts as read only when what is before it is.
        assert unread(config, GROUP, TRYON_STATUS) == 2
        process.send(signal.SIGKILL)
        process.ended()
    go.set()
    receiver.answer = lambda call: 200
    with webhooks(config):
        wait_all_read(config, GROUP, TRYON_STATUS)
    assert sorted(told(receiver.calls, done, stuck, behind)) == sorted([done, stuck, stuck, behind, behind])
    assert len({call.name for call in receiver.calls}) == 3


def test_several_share_them(apache_kafka: ApacheKafka, receiver: Receiver) -> None:
    config = GatewayConfig(**settings_for(apache_kafka))
    names = [fresh() for _ in range(4 * PARTITIONS)]
    with webhooks(config):
        tell(config, succeeded(fresh()), receiver.url("/first"))
        receiver.wait(1)
        with webhooks(config):
            wait_members(apache_kafka, GROUP, 2)
            for number, name in enumerate(names):
                tell(config, succeeded(name), receiver.url(), number % PARTITIONS)
            assert sorted(told(receiver.wait(1 + len(names)), *names)) == sorted(names)
            wait_all_read(config, GROUP, TRYON_STATUS)
        more = [fresh() for _ in range(PARTITIONS)]
        for number, name in enumerate(more):
            tell(config, succeeded(name), receiver.url(), number)
        receiver.wait(1 + len(names) + len(more))
        wait_all_read(config, GROUP, TRYON_STATUS)
    assert sorted(told(receiver.calls, *names, *more)) == sorted(names + more)


def test_one_that_hangs_does_not_keep_a_gateway_from_ending(given: dict[str, Any], receiver: Receiver) -> None:
    config, go = GatewayConfig(**given), threading.Event()

    def hold(call: Call) -> int:
        go.wait(PATIENCE)
        return 200

    receiver.answer = hold
    name = fresh()
    with webhooks(config):
        tell(config, succeeded(name), receiver.url())
        receiver.wait(1)
    assert unread(config, GROUP, TRYON_STATUS) >= 1
    go.set()
    with webhooks(config):
        until(lambda: len(told(receiver.calls, name)) == 2, "it is delivered by another")
        wait_all_read(config, GROUP, TRYON_STATUS)
