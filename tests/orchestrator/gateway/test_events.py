"""The stream of one try-on's events: each once, in order, to its end; and how it is written."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator.config import Config
from orchestrator.gateway import events as module
from orchestrator.gateway.events import framed, stream
from orchestrator.gateway.models import Cursor, Event, TryOnView
from orchestrator.gateway.view.follower import Follower
from orchestrator.gateway.view.heard import Heard
from orchestrator.gateway.view.view import View
from shared_utils.transports.kafka.messages import JsonCodec
from tests.orchestrator.cli.orchestrating import succeeded, tryon
from tests.orchestrator.gateway.test_view import NAME, asked, refusal, state, talk


class Hand(Follower):
    """A follower that is told what to take, in place of reading it from Kafka."""

    def __init__(self, view: View) -> None:
        super().__init__(Config(), JsonCodec(), view)
        self.ready.set()

    def take(self, *batch: Heard) -> None:
        self._view.take(batch)
        self._call(each.name for each in batch)

    @property
    def listeners(self) -> int:
        return len(self._callbacks)


@pytest.fixture
def hand() -> Iterator[Hand]:
    view = View()
    yield Hand(view)
    view.close()


async def collected(hand: Hand, after: Cursor = Cursor(), on: Callable[[Event | None], Any] = id) -> list[Event | None]:  # noqa: B008
    found = []
    async for event in stream(hand._view, hand, NAME, after):
        found.append(event)
        on(event)
    return found


def names(events: list[Event | None]) -> list[str]:
    return [f"{event.kind} {event.cursor}" if event else "nothing" for event in events]


def test_to_the_end_and_no_further(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    hand.take(state(5, tryon(NAME)), talk(0, at=6), talk(1, at=7), state(6, succeeded(NAME), at=8))
    found = asyncio.run(collected(hand))
    assert names(found) == ["status 5.-1", "progress 5.0", "progress 5.1", "status 6.1"]
    assert names(asyncio.run(collected(hand, Cursor(5, 0)))) == ["progress 5.1", "status 6.1"]
    assert asyncio.run(collected(hand, Cursor(6, 1))) == []
    assert hand.listeners == 0


def test_what_happens_meanwhile(hand: Hand) -> None:
    hand.take(state(5, tryon(NAME)))
    story = iter([talk(0), talk(1), state(6, succeeded(NAME))])
    found = asyncio.run(collected(hand, on=lambda _: hand.take(*([each] if (each := next(story, None)) else []))))
    assert names(found) == ["status 5.-1", "progress 5.0", "progress 5.1", "status 6.1"]


def test_one_that_waits_is_told_its_place(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLACE_SECONDS", 0.01)
    hand.take(asked(0, "another"), asked(1))
    story = iter([state(0, tryon("another")), state(1, succeeded(NAME))])
    first, second, third = asyncio.run(
        collected(hand, on=lambda _: hand.take(*([e] if (e := next(story, None)) else [])))
    )
    assert first is not None
    assert second is not None
    assert third is not None
    assert [TryOnView.model_validate_json(event.data).position for event in (first, second, third)] == [2, 1, None]
    assert [event.cursor for event in (first, second, third)] == [None, None, Cursor(1, -1)]


def test_one_that_was_refused(hand: Hand) -> None:
    hand.take(refusal(3))
    assert names(asyncio.run(collected(hand))) == ["status 0.-1"]
    assert asyncio.run(collected(hand, Cursor(0, -1))) == []


def test_nothing_for_a_while(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_ALIVE_SECONDS", 0.01)
    hand.take(state(5, tryon(NAME)))
    end = [state(6, succeeded(NAME))]

    def end_it(event: Event | None) -> None:
        if event is None and end:
            hand.take(end.pop())

    found = asyncio.run(collected(hand, on=end_it))
    assert names(found[:2]) == ["status 5.-1", "nothing"]
    assert names(found[-1:]) == ["status 6.-1"]


def test_nothing_before_all_has_been_read(hand: Hand) -> None:
    hand.take(state(5, succeeded(NAME)))
    hand.ready.clear()
    assert asyncio.run(collected(hand)) == []


@pytest.mark.parametrize("cause", ["closed", "forgotten", "unknown"])
def test_streams_end(hand: Hand, cause: str) -> None:
    def end(_: Event | None) -> None:
        if cause == "closed":
            hand.close()
        else:
            hand.take(Heard(NAME, 2, 6, 6, None))

    if cause != "unknown":
        hand.take(state(5, tryon(NAME)))
    assert len(asyncio.run(collected(hand, on=end))) == (cause != "unknown")


def test_a_reader_that_goes_away_is_forgotten(hand: Hand) -> None:
    async def leaves() -> None:
        events = stream(hand._view, hand, NAME, Cursor())
        async for _ in events:
            assert hand.listeners == 1
            await events.aclose()  # type: ignore[attr-defined]

    hand.take(state(5, tryon(NAME)))
    asyncio.run(leaves())
    assert hand.listeners == 0


def test_as_browsers_read_it() -> None:
    assert framed(Event("status", b'{"a":1}', Cursor(3, -1))) == b'event: status\nid: 3.-1\ndata: {"a":1}\n\n'
    assert framed(Event("progress", b"{}")) == b"event: progress\ndata: {}\n\n"
