"""What keeps a process on Kafka there until it is told to end."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaException

from shared_utils.errors import VtryonError, first_line
from shared_utils.transports.kafka.transactions import FencedError, MembershipLostError, TransactionAbortedError

log = logging.getLogger("vtryon.kafka")

PAUSE_SECONDS = 1.0
LOST = (FencedError, MembershipLostError, TransactionAbortedError, KafkaException)


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set. A second Ctrl-C ends the process at once."""
    stopping = threading.Event()

    def stop(number: int, frame: object) -> None:
        log.info("stopping")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def again_and_again(membership: Callable[[], None], name: str, stopping: threading.Event) -> None:
    """Join anew, with nothing remembered, whenever touch with Kafka was lost. Raises what waiting can't mend."""
    while not stopping.is_set():
        try:
            membership()
        except LOST as lost:
            log.warning("%s starts over: %s", name, first_line(lost))
        except VtryonError as failed:
            if not failed.retryable:
                raise
            log.warning("%s starts over: %s", name, failed.message)
        else:
            return
        stopping.wait(PAUSE_SECONDS)
