"""Keeps the view up to date with Kafka."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from orchestrator.config import Config
from orchestrator.gateway.view.heard import TOPICS, heard
from orchestrator.gateway.view.parts import (
    ASK_SECONDS,
    Offsets,
    Part,
    behind,
    bounds_of,
    known_ends,
    parts_of,
    reached,
    sorted_out,
)
from orchestrator.gateway.view.untold import Untold
from orchestrator.gateway.view.view import View
from orchestrator.taken import make_asker, taken_up_to
from shared_utils.errors import VtryonError, first_line
from shared_utils.transports.kafka.client import make_reader
from shared_utils.transports.kafka.messages import Codec
from shared_utils.transports.kafka.reading import next_batch
from shared_utils.transports.kafka.topics import TRYON_REQUESTS, counted

log = logging.getLogger("vtryon.gateway")

BATCH = 1000
GATHERED_MS, GATHERED_BYTES = 25, 65_536
"""Kafka gathers news so long, or so much of it: a batch costs hardly more than a single record does."""
IDLE_SECONDS = 0.2
PAUSE_SECONDS = 1.0
CLOSE_SECONDS = 2.0
"""How long it may take to end. A call that waits for Kafka may take longer: it is left to its thread."""
LAG_SECONDS = 1.0
KEPT_SECONDS = 60.0
"""How often Kafka is asked what it still keeps."""


class Follower:
    """A thread that reads all that concerns try-ons, from the oldest that Kafka keeps, into the view."""

    def __init__(self, config: Config, codec: Codec, view: View) -> None:
        self.ready = threading.Event()
        """Set once the view knows all that Kafka knew when reading began."""
        self.closed = threading.Event()
        self._config = config
        self._codec = codec
        self._view = view
        self._read: Offsets = {}
        """How far each partition is in the view: where to go on when Kafka was away."""
        self._kept: Offsets = {}
        """From where on Kafka keeps them, as far as the view knows."""
        self._lag = 0
        self._callbacks: dict[str, set[Callable[[], None]]] = {}
        self._subscribing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Nothing more is read, and whoever waits for news is called a last time."""
        self.closed.set()
        with self._subscribing:
            names = list(self._callbacks)
        self._call(names)
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def subscribe(self, name: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called, by another thread, whenever there is news of this try-on, and when the follower is
        closed. Call what comes back to have it no more."""
        with self._subscribing:
            self._callbacks.setdefault(name, set()).add(callback)
        return lambda: self._unsubscribe(name, callback)

    def lag(self) -> int:
        """How many records were still to be read, at most, a moment ago."""
        return self._lag

    def _unsubscribe(self, name: str, callback: Callable[[], None]) -> None:
        with self._subscribing:
            callbacks = self._callbacks.get(name, set())
            callbacks.discard(callback)
            if not callbacks:
                self._callbacks.pop(name, None)

    def _call(self, names: Iterable[str]) -> None:
        with self._subscribing:
            callbacks = [each for name in names for each in self._callbacks.get(name, ())]
        for callback in callbacks:
            callback()

    # ---- in its thread

    def _run(self) -> None:
        while not self.closed.is_set():
            try:
                self._follow()
            except (KafkaException, VtryonError) as failed:
                log.warning("what Kafka knows can't be read, trying again: %s", first_line(failed))
            except Exception:
                log.exception("the view could not be kept up to date, trying again")
            self.closed.wait(PAUSE_SECONDS)

    def _follow(self) -> None:
        """Read on, until the follower is closed or the topics have more partitions."""
        partitions = counted(self._config, *TOPICS)
        with closing(make_asker(self._config)) as asker, closing(_reader(self._config)) as reader:
            # The order matters: what was taken up by now has left its word before the ends that are asked for next.
            taken = taken_up_to(asker, self._config, range(partitions[TRYON_REQUESTS]), ASK_SECONDS)
            bounds = bounds_of(asker, parts_of(partitions))
            self._begin(reader, bounds, taken)
            goal = {part: end for part, (_, end) in bounds.items()}
            self._lag = behind(self._read, goal)
            untold = Untold(asker, self._config, self._view, partitions[TRYON_REQUESTS])
            lag_seen = kept_seen = time.monotonic()
            while not self.closed.is_set():
                self._take(next_batch(reader, BATCH, IDLE_SECONDS))
                self._call(untold.look(self._read))
                if not self.ready.is_set() and reached(self._read, goal):
                    log.info("the view knows %s", self._view.counts())
                    self.ready.set()
                if time.monotonic() - lag_seen > LAG_SECONDS:
                    lag_seen = time.monotonic()
                    self._lag = behind(self._read, known_ends(reader, goal))
                if time.monotonic() - kept_seen > KEPT_SECONDS:
                    kept_seen = time.monotonic()
                    self._forget(bounds_of(asker, self._read))
                    if counted(self._config, *TOPICS) != partitions:
                        return

    def _begin(self, reader: Consumer, bounds: Mapping[Part, tuple[int, int]], taken: Mapping[int, int | None]) -> None:
        """Where one was, as far as that is still kept; at first from the beginning, but only what nobody has taken."""
        self._forget(bounds)
        for part, (first, end) in bounds.items():
            wanted = self._read.get(part, (taken[part[1]] if part[0] == TRYON_REQUESTS else None) or first)
            self._read[part] = wanted if first <= wanted <= end else first
        reader.assign([TopicPartition(*part, offset) for part, offset in self._read.items()])

    def _take(self, batch: list[Record]) -> None:
        messages, read = sorted_out(batch)
        found = [each for each in (heard(self._codec, record) for record in messages) if each is not None]
        if found:
            self._view.take(found)
        self._read |= read
        self._call({each.name for each in found})

    def _forget(self, bounds: Mapping[Part, tuple[int, int]]) -> None:
        for part, (first, _) in bounds.items():
            if first > self._kept.get(part, 0):
                self._view.forget_before(*part, first)
                self._kept[part] = first


def _reader(config: Config) -> Consumer:
    return make_reader(config, **{"fetch.wait.max.ms": GATHERED_MS, "fetch.min.bytes": GATHERED_BYTES})
