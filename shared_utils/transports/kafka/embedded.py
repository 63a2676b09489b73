"""librdkafka's broker in memory: enough for a first run on one machine, with no Java and no container.

Another program starts it with `python -m shared_utils.transports.kafka.embedded`, which prints its address.

It is no place to prove anything about failure. It keeps nothing when it ends, and no more than 5 MB a partition before
that; topics appear when first used, with 4 partitions, and can't be made, changed or removed; it does not compact.
Of transactions it keeps the records, aborted ones too, and forgets the offsets: a group goes on from where `commit`
left it. Two producers with one transactional id do not shut each other out. It knows no security.

It does not wake a fetch that waits: records wait for `fetch.wait.max.ms`, so set that to 5 or so. A group of the
classic protocol takes 3 seconds to begin and the session's timeout to change; with `group.protocol=consumer` one begins
at once and changes within 3 seconds.
"""

import argparse
import signal
import sys
from types import FrameType
from typing import Self

from confluent_kafka import Producer

START_SECONDS = 10


class EmbeddedBroker:
    """A broker in this process, which others can reach too. It ends with `close`, or with the process."""

    def __init__(self) -> None:
        # The address is not used, but librdkafka wants one. It would announce the broker as a warning.
        self._host = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
        (broker,) = self._host.list_topics(timeout=START_SECONDS).brokers.values()
        self.bootstrap = f"{broker.host}:{broker.port}"

    def close(self) -> None:
        """End the broker; what it held is gone."""
        self._host.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def main() -> None:
    """Print the address of a new broker on one line, and keep it until asked to end."""
    parser = argparse.ArgumentParser(description="A Kafka broker in memory, for a first run on one machine.")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end when the program that holds our standard input ends"
    )
    given = parser.parse_args()
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, _end)
    with EmbeddedBroker() as broker:
        print(broker.bootstrap, flush=True)  # noqa: T201
        if given.until_stdin_closes:
            sys.stdin.read()
        else:
            signal.pause()


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
