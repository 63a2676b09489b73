"""How far a process's groups are behind, for its metrics: asked of Kafka now and then, by a thread of its own."""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaException, TopicPartition
from prometheus_client import Gauge

from shared_utils.errors import VtryonError, first_line
from shared_utils.telemetry.metrics import Metrics
from shared_utils.transports.kafka.client import make_consumer
from shared_utils.transports.kafka.settings import KafkaSettings

log = logging.getLogger("vtryon.kafka")

LOOK_SECONDS = 10.0
ANSWER_SECONDS = 10.0

Groups = Mapping[str, Sequence[str]]
"""Their topics."""


@contextmanager
def watched_lag(settings: KafkaSettings, groups: Groups, metrics: Metrics) -> Iterator[None]:
    """The metric vtryon_consumer_lag, inside; where nobody can read metrics, nobody is asked."""
    if settings.health_port is None:
        yield
        return
    gauge = metrics.gauge("vtryon_consumer_lag", "Offsets that the group has not committed.", "topic")
    closing = threading.Event()
    # A daemon, so that a call that Kafka does not answer holds nothing up.
    thread = threading.Thread(target=_watch, args=(settings, groups, gauge, closing), name="lag", daemon=True)
    thread.start()
    try:
        yield
    finally:
        closing.set()


def _watch(settings: KafkaSettings, groups: Groups, gauge: Gauge, closing: threading.Event) -> None:
    askers = {group: asker(settings, group) for group in groups}
    while not closing.is_set():
        try:
            for group, names in groups.items():
                for topic, behind in lag(askers[group], names).items():
                    gauge.labels(topic).set(behind)
        except (KafkaException, VtryonError) as failed:
            # What was true a while ago may be far from true now.
            gauge.clear()
            log.debug("how far the groups are behind can't be told: %s", first_line(failed))
        closing.wait(LOOK_SECONDS)


def asker(settings: KafkaSettings, group: str) -> Consumer:
    """One who asks on behalf of a group, and never joins it.

    An AdminClient can ask the same, but where the group's coordinator is just being loaded, librdkafka 2.16 ends the
    process by it: its issue 5040.
    """
    return make_consumer(settings, group, **{"group.protocol": "classic", "isolation.level": "read_uncommitted"})


def lag(client: Consumer, names: Sequence[str]) -> dict[str, int]:
    """How many offsets of each topic the group has not committed: all that there are, where it has committed none."""
    numbers = {name: client.list_topics(name, timeout=ANSWER_SECONDS).topics[name].partitions for name in names}
    places = [TopicPartition(name, number) for name, found in numbers.items() for number in found]
    behind = dict.fromkeys(names, 0)
    for place in client.committed(places, timeout=ANSWER_SECONDS):
        first, end = client.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
        behind[place.topic] += max(0, end - max(place.offset, first))
    return behind
