"""Listening to what Kafka says of some try-ons, from their sending to their end."""

from collections.abc import Iterator
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import Message as Record
from pydantic import ValidationError

from orchestrator.course import News, read_news
from shared_utils.transports.kafka.client import KafkaUnavailableError, explained, make_reader
from shared_utils.transports.kafka.messages import Codec, InvalidMessageError, decoded
from shared_utils.transports.kafka.reading import ends
from shared_utils.transports.kafka.settings import KafkaSettings
from shared_utils.transports.kafka.topics import TRYON_PROGRESS, TRYON_RESPONSES, TRYON_STATUS

REDRAWN_SECONDS = 0.2


class Listener:
    """Hears of these try-ons. It begins where the topics end now: open it before they are sent."""

    def __init__(self, settings: KafkaSettings, codec: Codec, *correlation_ids: str) -> None:
        self._codec = codec
        self._keys = frozenset(name.encode() for name in correlation_ids)
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
        return bytes(record.key() or b"") in self._keys and record.value() is not None

    def _read(self, record: Record) -> News | None:
        try:
            return read_news(str(record.topic()), decoded(self._codec, record))
        except (InvalidMessageError, ValidationError):
            return None
