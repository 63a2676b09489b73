"""All or nothing: what is sent, and how far it was read, become visible together."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from shared_utils.transports.kafka.bounded import NoReturnError, bounded
from shared_utils.transports.kafka.client import TRANSACTION_SECONDS
from shared_utils.transports.kafka.sending import Outgoing, produce

log = logging.getLogger("vtryon.kafka")

CALL_SECONDS = float(TRANSACTION_SECONDS)
OFFSETS_SECONDS = 5.0
"""For the one call that may never come back. It takes milliseconds."""
MOST_TRIES = 5
"""Of a call that a broker asks to repeat. A dead broker's place is taken within a few of them, or not at all."""


class TransactionAbortedError(Exception):
    """Nothing of the transaction is visible, and nothing ever will be."""


class FencedError(Exception):
    """This producer is of no use any more: its place was taken, or it lost touch with the brokers."""


class MembershipLostError(Exception):
    """The partitions have been given to others: what was worked out from them must not be sent."""


def group_metadata(consumer: Consumer) -> Any:
    """What proves to the broker that the consumer is still a member of its group.

    Of a member that was thrown out nothing is left that a broker could check, so it would let the offsets pass. In this
    order no loss goes unnoticed: the id comes back only with a rebalance, and those happen while polling.
    """
    metadata = consumer.consumer_group_metadata()
    if not consumer.memberid():
        raise MembershipLostError
    return metadata


def in_transaction(
    producer: Producer, outgoing: Sequence[Outgoing], offsets: Sequence[TopicPartition], metadata: Any
) -> None:
    """Send all of this and commit the offsets, or raise and leave no trace.

    The offsets are also what proves the right to send: without any, nobody would look at the membership."""
    if not offsets:
        raise ValueError("a transaction without offsets shuts nobody out")
    try:
        producer.begin_transaction()
        for record in outgoing:
            produce(producer, record)
        # Before the offsets: once those are accepted nobody else can have the partitions, and all else is in place.
        _flush(producer)
        _repeated(lambda: _send_offsets(producer, offsets, metadata))
        _repeated(lambda: producer.commit_transaction(CALL_SECONDS))
    except NoReturnError as failed:
        raise FencedError(f"the group's coordinator does not answer: {failed}") from None
    except (KafkaException, TransactionAbortedError) as failed:
        _abort(producer, failed)


def _flush(producer: Producer) -> None:
    if producer.flush(CALL_SECONDS):
        raise TransactionAbortedError("the brokers did not take the records in time")


def _send_offsets(producer: Producer, offsets: Sequence[TopicPartition], metadata: Any) -> None:
    bounded(lambda: producer.send_offsets_to_transaction(list(offsets), metadata, CALL_SECONDS), OFFSETS_SECONDS)


def _repeated(call: Callable[[], None]) -> None:
    for _ in range(MOST_TRIES - 1):
        try:
            return call()
        except KafkaException as failed:
            if not failed.args[0].retriable():
                raise
            log.debug("again: %s", failed.args[0].str())
    return call()


def _abort(producer: Producer, cause: Exception) -> None:
    """Raises what the caller is to know: the transaction is gone, or the producer is."""
    error = cause.args[0] if isinstance(cause, KafkaException) else None
    if error is not None and error.fatal():
        raise FencedError(error.str()) from cause
    try:
        _repeated(lambda: producer.abort_transaction(CALL_SECONDS))
    except KafkaException as failed:
        raise FencedError(failed.args[0].str()) from failed
    raise TransactionAbortedError(error.str() if error else str(cause)) from cause
