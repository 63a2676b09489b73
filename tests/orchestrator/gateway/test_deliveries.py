"""How a callback is delivered: signed, tried again, to the address that was checked, and by nobody else's way."""

import asyncio
import base64
import hashlib
import hmac
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.gateway.addresses import UnresolvedError
from orchestrator.gateway.callbacks import deliveries
from orchestrator.gateway.callbacks.deliveries import Callback, Deliveries, pause_before
from orchestrator.gateway.settings import GatewayConfig
from tests.orchestrator.gateway.receiver import HOST, PATIENCE, Call, Receiver, certificate_for, receiving

KEY = bytes(range(32))
BODY = b'{"id": "try-7", "state": "succeeded"}'
MOMENT = 1_770_000_000.7


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@contextmanager
def delivering(**given: Any) -> Iterator[Deliveries]:
    """Callbacks that may come to this machine; a pause takes no time, and the clock stands still."""
    settings: dict[str, Any] = {
        "webhook_secret": f"whsec_{base64.b64encode(KEY).decode()}",
        "webhook_allow": [HOST],
        "webhook_seconds": 30,
    }
    settings |= {name: given.pop(name) for name in list(given) if name.startswith("webhook")}
    config = GatewayConfig(**settings)
    assert config.webhook_secret is not None
    made = Deliveries(config, config.webhook_secret, **{"sleep": no_time, "clock": lambda: MOMENT} | given)
    try:
        yield made
    finally:
        made.close()


async def no_time(seconds: float) -> None:
    await asyncio.sleep(0)


def callback(url: str, name: str = "event-1") -> Callback:
    return Callback(name, "try-7", url, BODY)


def done(delivery: "Future[None]") -> None:
    delivery.result(PATIENCE)


@contextmanager
def hanging(receiver: Receiver) -> Iterator[None]:
    """It takes what comes, and does not answer."""
    answers = threading.Event()

    def hang(call: Call) -> int:
        answers.wait(PATIENCE)
        return 200

    receiver.answer = hang
    try:
        yield
    finally:
        answers.set()


def in_turn(*statuses: int) -> Callable[[Call], int]:
    left = list(statuses)
    return lambda call: left.pop(0)


def test_what_a_receiver_gets(receiver: Receiver) -> None:
    with delivering() as ours:
        done(ours.deliver(callback(receiver.url("/done?order=7"))))
    (call,) = receiver.calls
    assert (call.path, call.body) == ("/done?order=7", BODY)
    assert call.headers["host"] == f"{HOST}:{receiver.port}"
    assert call.headers["content-type"] == "application/json"
    signed = hmac.new(KEY, b"event-1.1770000000." + BODY, hashlib.sha256).digest()
    assert call.headers["webhook-signature"] == f"v1,{base64.b64encode(signed).decode()}"


def test_tried_again_until_it_is_taken(receiver: Receiver) -> None:
    receiver.answer = in_turn(500, 404, 302, 429, 200)
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    moments = iter(range(100, 200))
    with delivering(sleep=sleep, clock=lambda: next(moments)) as ours:
        done(ours.deliver(callback(receiver.url())))
    assert [call.headers["webhook-timestamp"] for call in receiver.calls] == ["100", "101", "102", "103", "104"]
    assert {(call.name, call.body) for call in receiver.calls} == {("event-1", BODY)}
    assert len(pauses) == 4
    for number, pause in enumerate(pauses, 1):
        whole = deliveries.FIRST_PAUSE * deliveries.LONGER_EACH_TIME ** (number - 1)
        assert whole / 2 <= pause <= whole


def test_no_pause_is_endless_and_they_differ() -> None:
    assert pause_before(99) <= deliveries.LONGEST_PAUSE
    assert len({pause_before(3) for _ in range(10)}) > 1


@pytest.mark.parametrize(("statuses", "calls"), [([500, 500, 500], 3), ([410], 1)])
def test_given_up(receiver: Receiver, statuses: list[int], calls: int, caplog: pytest.LogCaptureFixture) -> None:
    receiver.answer = in_turn(*statuses)
    with delivering(webhook_attempts=3) as ours, caplog.at_level(logging.INFO):
        done(ours.deliver(callback(receiver.url("/hook/of-a-secret-place?token=secret"))))
    assert len(receiver.calls) == calls
    assert f"try-7: callback to http://{HOST}:{receiver.port} given up: answered {statuses[-1]}" in caplog.text


def test_nothing_secret_is_logged(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.answer = in_turn(500, 200)
    with delivering() as ours, caplog.at_level(logging.DEBUG):
        done(ours.deliver(callback(receiver.url("/hook/of-a-secret-place?token=secret"))))
    assert "delivered" in caplog.text
    assert "secret" not in caplog.text


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    with receiving() as elsewhere, delivering(webhook_attempts=1) as ours:
        receiver.headers["location"] = elsewhere.url()
        receiver.answer = in_turn(307)
        done(ours.deliver(callback(receiver.url())))
        assert len(receiver.calls) == 1
        assert elsewhere.calls == []


def test_a_proxy_of_the_environment_is_not_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url(""))
        with delivering() as ours:
            done(ours.deliver(callback(receiver.url())))
        assert len(receiver.calls) == 1
        assert proxy.calls == []


def test_a_name_that_moves_to_where_it_must_not(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """Checked at each attempt anew, and the name is not asked for again behind the check."""
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    asked: list[str] = []

    def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    receiver.answer = in_turn(500)
    with delivering(webhook_allow=["127.0.0.1"], resolve=resolve) as ours:
        # The machine's own name servers know nothing of this name.
        done(ours.deliver(callback(receiver.url(host="shop.invalid"))))
    (call,) = receiver.calls
    assert call.headers["host"] == f"shop.invalid:{receiver.port}"
    assert asked == ["shop.invalid"] * 2
    assert "shop.invalid, which is not on the public internet" in caplog.text


def test_a_name_that_can_not_be_found_for_a_while(receiver: Receiver) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        if len(asked) == 1:
            raise UnresolvedError("No address was found.")
        return [HOST]

    with delivering(resolve=resolve) as ours:
        done(ours.deliver(callback(receiver.url(host="shop.invalid"))))
    assert len(receiver.calls) == 1


def test_one_address_of_several_is_dead(receiver: Receiver) -> None:
    with delivering(webhook_allow=["127.0.0.0/8"], resolve=lambda host, port: ["127.0.0.9", HOST]) as ours:
        done(ours.deliver(callback(receiver.url(host="shop.invalid"))))
    assert len(receiver.calls) == 1


def test_tls_goes_by_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = certificate_for("shop.invalid", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    with receiving(certificate) as receiver, delivering(resolve=lambda host, port: [HOST], webhook_attempts=1) as ours:
        done(ours.deliver(callback(receiver.url(host="shop.invalid", scheme="https"))))
        assert len(receiver.calls) == 1
        done(ours.deliver(callback(receiver.url(host="other.invalid", scheme="https"))))
        assert len(receiver.calls) == 1
    assert "certificate verify failed" in caplog.text


def test_a_certificate_that_nobody_knows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        receiving(certificate_for("shop.invalid", tmp_path)) as receiver,
        delivering(resolve=lambda host, port: [HOST], webhook_attempts=1) as ours,
    ):
        done(ours.deliver(callback(receiver.url(host="shop.invalid", scheme="https"))))
        assert receiver.calls == []
    assert "certificate verify failed" in caplog.text


def test_an_answer_that_does_not_come(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    with hanging(receiver), delivering(webhook_seconds=0.2, webhook_attempts=2) as ours:
        done(ours.deliver(callback(receiver.url())))
    assert len(receiver.calls) == 2
    assert "given up: no answer within 0.2 s" in caplog.text


def test_a_dead_receiver_does_not_hold_up_others(receiver: Receiver) -> None:
    with receiving() as dead, delivering() as ours:
        with hanging(dead):
            stuck = [ours.deliver(callback(dead.url(), f"stuck-{n}")) for n in range(2 * deliveries.AT_ONCE)]
            dead.wait(deliveries.AT_ONCE_TO_ONE)
            for number in range(10):
                done(ours.deliver(callback(receiver.url(), f"event-{number}")))
            assert len(receiver.calls) == 10
            assert len(dead.calls) == deliveries.AT_ONCE_TO_ONE
            assert not any(each.done() for each in stuck)
        for each in stuck:
            done(each)


def test_closing_waits_for_nobody(receiver: Receiver) -> None:
    asleep = threading.Event()

    async def sleep(seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    with receiving() as dead, hanging(dead):
        receiver.answer = in_turn(500)
        with delivering(sleep=sleep) as ours:
            left = [ours.deliver(callback(url)) for url in (dead.url(), receiver.url())]
            dead.wait(1)
            assert asleep.wait(PATIENCE)
        assert all(each.cancelled() for each in left)
