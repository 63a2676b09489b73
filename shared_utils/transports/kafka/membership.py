"""Whether a process's membership in its group is up, for its health."""

import time

from confluent_kafka import Consumer

from shared_utils.telemetry.health import Part

NOTHING_SECONDS = 5.0
"""A member that has been given no partition for so long gets none for now: there are more members than partitions. In
the newer group protocol nobody tells it so."""


class Membership:
    """Made when Kafka has answered already, and the consumer has subscribed. Told by the consumer's callbacks."""

    def __init__(self, part: Part, consumer: Consumer) -> None:
        self._part = part
        self._consumer = consumer
        self._since = time.monotonic()

    def given(self) -> None:
        self._part.ready = True

    def lost(self) -> None:
        self._part.ready = False
        self._since = time.monotonic()

    def look(self) -> None:
        """With each turn of whoever polls."""
        self._part.turn()
        waited = time.monotonic() - self._since > NOTHING_SECONDS
        if not self._part.ready and waited and self._consumer.memberid():
            self._part.ready = True
