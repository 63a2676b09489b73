"""What an orchestrator takes up again from tryon-status."""

from datetime import UTC, datetime
from typing import Literal

import pytest

from orchestrator.models import TryOnRequest
from orchestrator.restore import restored
from orchestrator.state import StepState, TryOn
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.messages import STATE, JsonCodec
from shared_utils.transports.kafka.sending import Outgoing, send
from shared_utils.transports.kafka.settings import KafkaSettings
from tests.kafka.support import fresh

AT = datetime(2026, 1, 1, tzinfo=UTC)
HERE, ELSEWHERE = 1, 2


@pytest.fixture
def settings(embedded_broker: EmbeddedBroker) -> KafkaSettings:
    found = KafkaSettings(kafka_bootstrap_servers=embedded_broker.bootstrap)
    topics.check(found)
    return found


def tryon(name: str, state: Literal["running", "succeeded"] = "running", attempt: int = 1) -> TryOn:
    request = TryOnRequest(correlation_id=name, person_image_path="p.png", garment_image_path="g.png")
    step = StepState(state="sent", attempt=attempt, started=AT, deadline=AT)
    return TryOn(correlation_id=name, request=request, state=state, steps={"sampling": step}, submitted=AT, updated=AT)


def told(of: TryOn, partition: int = HERE) -> Outgoing:
    value = JsonCodec().encode(topics.TRYON_STATUS, of)
    return Outgoing(topics.TRYON_STATUS, of.correlation_id, value, {STATE: of.state}, partition)


def test_the_latest_state_of_each_counts(settings: KafkaSettings) -> None:
    first, second, other = fresh("a"), fresh("b"), fresh("c")
    send(
        settings,
        told(tryon(first)),
        told(tryon(second)),
        told(tryon(first, attempt=2)),
        told(tryon(second, "succeeded")),
        told(tryon(other), ELSEWHERE),
    )
    shelf = restored(settings, JsonCodec(), [HERE])[HERE]
    assert shelf.running[first].steps["sampling"].attempt == 2
    assert second in shelf.ended
    assert not {second, other} & shelf.running.keys()
    assert other in restored(settings, JsonCodec(), [ELSEWHERE])[ELSEWHERE].running


def test_what_was_deleted_or_is_unreadable_does_not_stop_the_others(
    settings: KafkaSettings, caplog: pytest.LogCaptureFixture
) -> None:
    whole, broken, gone = fresh("a"), fresh("b"), fresh("c")
    send(
        settings,
        told(tryon(whole)),
        told(tryon(gone)),
        Outgoing(topics.TRYON_STATUS, gone, None, {}, HERE),
        Outgoing(topics.TRYON_STATUS, broken, b'{"correlation_id": 1}', {STATE: "running"}, HERE),
        Outgoing(topics.TRYON_STATUS, None, b"no key", {}, HERE),
    )
    running = restored(settings, JsonCodec(), [HERE])[HERE].running
    assert whole in running
    assert not {broken, gone} & running.keys()
    assert broken in caplog.text
