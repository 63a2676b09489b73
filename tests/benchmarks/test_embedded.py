"""A benchmark may start its broker again in the same folder."""

from pathlib import Path

from embedded import embedded_kafka

from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.reading import ends


def test_one_after_the_other(tmp_path: Path) -> None:
    addresses = []
    for _ in range(2):
        with embedded_kafka(tmp_path) as (bench, _broker):
            # Before anybody has asked for it: a reader that found no partition would wait for ever.
            assert ends(bench.settings, topics.TRYON_RESPONSES) == dict.fromkeys(range(4), 0)
            addresses.append(bench.settings.kafka_bootstrap_servers)
    assert addresses[0] != addresses[1]
