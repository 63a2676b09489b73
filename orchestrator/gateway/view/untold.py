"""Requests that an orchestrator has taken up and that nothing came of: nobody tells of them."""

import time

from confluent_kafka import Consumer

from orchestrator.config import Config
from orchestrator.gateway.view.parts import ASK_SECONDS, Offsets, ends_of, reached
from orchestrator.gateway.view.view import View
from orchestrator.taken import taken_up_to
from shared_utils.transports.kafka.topics import TRYON_RESPONSES, TRYON_STATUS

LOOK_SECONDS = 1.0


class Untold:
    """Has the view forget them, lest they wait for ever: such as could not be read, or came twice."""

    def __init__(self, asker: Consumer, config: Config, view: View, partitions: int) -> None:
        self._asker = asker
        self._config = config
        self._view = view
        self._partitions = range(partitions)
        self._taken: dict[int, int] = {}
        self._goal: Offsets = {}
        self._next_look = 0.0

    def look(self, read: Offsets) -> list[str]:
        """Those that turn out to be such now that so much has been read."""
        if self._taken and reached(read, self._goal):
            gone = [name for number, offset in self._taken.items() for name in self._view.taken(number, offset)]
            self._taken = {}
            return gone
        if not self._taken and self._view.waiting() and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_SECONDS
            self._ask()
        return []

    def _ask(self) -> None:
        """What was taken up has a state or an answer before the ends of those topics, as they are after this."""
        taken = taken_up_to(self._asker, self._config, self._partitions, ASK_SECONDS)
        self._taken = {
            number: offset
            for number, offset in taken.items()
            if offset is not None and self._view.waits_before(number, offset)
        }
        told = [(topic, number) for topic in (TRYON_STATUS, TRYON_RESPONSES) for number in self._taken]
        self._goal = ends_of(self._asker, told)
