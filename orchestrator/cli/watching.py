"""Watching one try-on from its sending to its end: what Kafka says of it, and how far each of its steps is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import Message as Record
from pydantic import ValidationError

from orchestrator.models import TryOnFailure, TryOnSuccess
from orchestrator.state import StepState, TryOn
from orchestrator.steps import STEPS
from orchestrator.workflow import request_id
from shared_utils.contracts import Progress, now
from shared_utils.transports.kafka.client import KafkaUnavailableError, explained, make_reader
from shared_utils.transports.kafka.messages import Codec, InvalidMessageError, decoded
from shared_utils.transports.kafka.reading import ends
from shared_utils.transports.kafka.settings import KafkaSettings
from shared_utils.transports.kafka.topics import TRYON_PROGRESS, TRYON_RESPONSES, TRYON_STATUS

REDRAWN_SECONDS = 0.2

News = Progress | TryOn | TryOnSuccess | TryOnFailure


class Listener:
    """Hears of one try-on. It begins where the topics end now: open it before the try-on is sent."""

    def __init__(self, settings: KafkaSettings, codec: Codec, correlation_id: str) -> None:
        self._codec = codec
        self._correlation_id = correlation_id
        self._reader: Consumer = make_reader(settings)
        try:
            self._reader.assign(
                [
                    TopicPartition(topic, number, offset)
                    for topic in (TRYON_PROGRESS, TRYON_STATUS, TRYON_RESPONSES)
                    for number, offset in ends(settings, topic).items()
                ]
            )
        except KafkaException as failed:
            self._reader.close()
            raise KafkaUnavailableError(explained(failed, settings)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._reader.close()

    def news(self) -> Iterator[News | None]:
        """What comes, and None whenever nothing does for a moment."""
        while True:
            record = self._reader.poll(REDRAWN_SECONDS)
            yield None if record is None or record.error() or not self._is_ours(record) else self._read(record)

    def _is_ours(self, record: Record) -> bool:
        # Other people's try-ons are passed over unread.
        return bytes(record.key() or b"") == self._correlation_id.encode() and record.value() is not None

    def _read(self, record: Record) -> News | None:
        try:
            return read_news(str(record.topic()), decoded(self._codec, record))
        except (InvalidMessageError, ValidationError):
            return None


def read_news(topic: str, fields: Mapping[str, Any]) -> News:
    """A message on one of the three topics."""
    if topic == TRYON_PROGRESS:
        return Progress.model_validate(fields)
    if topic == TRYON_STATUS:
        return TryOn.model_validate(fields)
    return (TryOnSuccess if fields.get("status") == "success" else TryOnFailure).model_validate(fields)


@dataclass
class Position:
    """How far one step is."""

    text: str = "waiting"
    done: int = 0
    total: int = 1
    attempt: int = 1
    since: datetime | None = None
    until: datetime | None = None

    @property
    def seconds(self) -> float | None:
        """Since it was sent; None before that."""
        return None if self.since is None else max(0.0, ((self.until or now()) - self.since).total_seconds())


@dataclass
class Course:
    """How far all steps of a try-on are, as far as one has heard. News may come in any order."""

    correlation_id: str
    steps: dict[str, Position] = field(default_factory=lambda: {name: Position() for name in STEPS})
    answer: TryOnSuccess | TryOnFailure | None = None
    taken: bool = False
    """Whether an orchestrator has begun with it."""

    def hear(self, news: News) -> None:
        if isinstance(news, Progress):
            self._hear_of_step(news)
        elif isinstance(news, TryOn):
            self.taken = True
            for name, state in news.steps.items():
                self._hear_of_state(name, state)
        else:
            self.answer = news
            self._end(news)

    def _hear_of_step(self, news: Progress) -> None:
        position = self.steps.get(news.step)
        if position is None or position.until is not None:
            return
        if position.since is None:
            position.since = news.timestamp
        if news.request_id != request_id(self.correlation_id, news.step, position.attempt):
            return
        if news.state in ("started", "running"):
            count = f" {news.done}/{news.total}" if news.total else ""
            self._show(position, f"{news.node or 'started'}{count}", news.done, news.total or 1)
        else:
            self._show(position, "finished" if news.state == "done" else "failed", 0, 1)

    def _hear_of_state(self, name: str, state: StepState) -> None:
        position = self.steps.get(name)
        if position is None or position.until is not None:
            return
        if state.state == "done":
            position.attempt, position.since, position.until = state.attempt, state.started, state.finished or now()
            position.text, position.done, position.total = "done", 1, 1
        elif position.since is None or position.attempt != state.attempt:
            # News of the first attempt can be faster than that of its being sent.
            position.attempt = state.attempt
            if position.since is None or state.attempt > 1:
                position.since = state.started
                self._show(position, "sent to a worker", 0, 1)

    def _show(self, position: Position, text: str, done: int, total: int) -> None:
        position.text = text if position.attempt == 1 else f"attempt {position.attempt}: {text}"
        position.done, position.total = done, total

    def _end(self, answer: TryOnSuccess | TryOnFailure) -> None:
        for timing in answer.timings:
            position = self.steps.get(timing.step)
            if position is not None:
                position.attempt, position.since, position.until = timing.attempts, timing.started, timing.finished
                position.text, position.done, position.total = "done", 1, 1
        for name, position in self.steps.items():
            if position.until is None:
                failed = isinstance(answer, TryOnFailure) and answer.failed_step == name
                position.until = now()
                position.text = "failed" if failed else "stopped" if position.since else "not begun"
