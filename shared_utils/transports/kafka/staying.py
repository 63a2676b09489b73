"""What keeps a process on Kafka there until it is told to end."""

import logging
import threading
from collections.abc import Callable

from confluent_kafka import KafkaException

from shared_utils.errors import VtryonError, first_line
from shared_utils.transports.kafka.transactions import FencedError, MembershipLostError, TransactionAbortedError

log = logging.getLogger("vtryon.kafka")

PAUSE_SECONDS = 1.0
LOST = (FencedError, MembershipLostError, TransactionAbortedError, KafkaException)


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
