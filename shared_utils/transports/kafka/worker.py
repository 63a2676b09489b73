"""A stage on Kafka: one request in hand, its answer and how far was read made known in one transaction.

The order, which everything about delivery rests on: the artifact is on the disk, then the transaction begins; into it
go the answer, the dead letter if there is one, and the offset; then it is committed. What is aborted nobody sees, and
the request is done again, by this worker or another, under the same name and with the same files.
"""

import logging
import threading
import time
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from shared_utils.contracts import Failure, Success, now
from shared_utils.errors import CancelledError, InternalError, VtryonError
from shared_utils.stage import Stage, outcome_of
from shared_utils.telemetry.health import Part
from shared_utils.telemetry.logs import job_context
from shared_utils.telemetry.metrics import DeadLetters, StageMetrics
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.asked import Asked
from shared_utils.transports.kafka.cancels import Cancels
from shared_utils.transports.kafka.client import close, make_consumer, make_transactional_producer
from shared_utils.transports.kafka.dead_letters import code_of, dead_letter
from shared_utils.transports.kafka.job import Job
from shared_utils.transports.kafka.membership import Membership
from shared_utils.transports.kafka.messages import (
    DEADLINE_EXCEEDED,
    REQUEST_PARTITION,
    WORKER,
    Codec,
    InvalidMessageError,
    place,
)
from shared_utils.transports.kafka.news import News
from shared_utils.transports.kafka.reading import PATIENCE
from shared_utils.transports.kafka.sending import Outgoing
from shared_utils.transports.kafka.settings import WorkerSettings
from shared_utils.transports.kafka.transactions import (
    FencedError,
    MembershipLostError,
    TransactionAbortedError,
    group_metadata,
    in_transaction,
)

log = logging.getLogger("vtryon.kafka")

IDLE_SECONDS = 0.5
"""How long a worker without work looks away; a request that comes wakes it."""
BUSY_SECONDS = 0.1
"""How often one with a job in hand polls; the job's end wakes it."""
MOST_AHEAD = 32
"""How many requests are read while one is in hand: then fetching is paused."""
FEW_AHEAD = 16
"""When it begins again. librdkafka takes up to a second for that, in which these are done. They last as long: while
jobs take less than BUSY_SECONDS, none is read ahead."""
PART_OF_POLL = 0.7
"""Of max.poll.interval.ms: whoever holds up a rebalance for longer than that is thrown out of the group."""
COMMITS = 3
"""How often the transaction of one result is tried: what took a minute is worth it."""
NO_DEAD_LETTER = {"CANCELLED", DEADLINE_EXCEEDED}
"""Failures that say nothing against the request."""


class DeadlineExceededError(VtryonError):
    """The request's deadline passed before anybody came to it. Nothing was done: nobody waits for it."""

    code = DEADLINE_EXCEEDED


@dataclass(frozen=True)
class Names:
    """Where a stage's requests come from, where its answers go, and whom it shares the work with."""

    requests: str
    responses: str
    group: str

    @classmethod
    def of(cls, stage: str, settings: WorkerSettings) -> "Names":
        return cls(
            settings.kafka_request_topic or topics.request_topic(stage),
            settings.kafka_response_topic or topics.response_topic(stage),
            settings.kafka_consumer_group or topics.group(stage),
        )


@dataclass(frozen=True)
class Post:
    """What a worker keeps when it joins its group anew."""

    stage: Stage
    settings: WorkerSettings
    names: Names
    codec: Codec
    cancels: Cancels
    news: News
    replies: int
    """Partitions of the response topic."""
    instance: str
    part: Part
    """Of the process's health."""
    metrics: StageMetrics
    letters: DeadLetters


class Worker:
    """One membership in the group, from joining to leaving."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._job: Job | None = None
        self._ahead: deque[Record] = deque()
        """The requests after the one in hand."""
        self._paused = False
        self._ends: dict[int, int] = {}
        """Where partitions end that have been read to their end, until that is committed. Markers of transactions take
        offsets too: who commits behind messages only has a lag for ever, and KEDA never lets the last worker go."""
        post.part.busy_when(lambda: self._job is not None)
        post.metrics.watch(post.stage.name, lambda: self._job is not None)
        self._producer = make_transactional_producer(post.settings, post.instance)
        newer = post.settings.kafka_group_protocol == "consumer"
        self._consumer: Consumer = make_consumer(
            post.settings,
            post.names.group,
            **{"enable.partition.eof": True},
            **({} if newer else {"partition.assignment.strategy": "cooperative-sticky"}),
        )
        self._membership = Membership(post.part, self._consumer)
        self._consumer.subscribe(
            [post.names.requests], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping` is set and the job in hand is finished or handed back."""
        while not stopping.is_set():
            self._membership.look()
            if self._job is None:
                self._look_for_work()
            else:
                self._poll_beside(self._job)
        self._drain()

    def close(self) -> None:
        close(self._consumer, self._producer)

    def _drain(self) -> None:
        deadline = time.monotonic() + self._post.settings.kafka_drain_seconds
        while self._job is not None and time.monotonic() < deadline:
            self._poll_beside(self._job)
        if self._job is not None:
            with self._about(self._job.asked):
                log.warning("%s: not finished in time, left to another worker", self._job.asked.request_id)
            self._job.drop()

    def _poll_beside(self, job: Job) -> None:
        """Wait for the job, but not so long that Kafka takes us for dead."""
        if job.done.wait(BUSY_SECONDS):
            self._finish(job)
            return
        record = self._poll(0)
        if record is not None:
            self._ahead.append(record)
        if len(self._ahead) == MOST_AHEAD and not self._paused:
            # Reading on would fill the memory with what somebody else may do.
            self._consumer.pause(self._consumer.assignment())
            self._paused = True

    def _look_for_work(self) -> None:
        if self._paused and len(self._ahead) <= FEW_AHEAD:
            self._consumer.resume(self._consumer.assignment())
            self._paused = False
        record = self._ahead.popleft() if self._ahead else self._poll(IDLE_SECONDS)
        if record is not None:
            self._take(record)
        elif self._ends:
            self._committed(self._read_to(), [])

    def _poll(self, seconds: float) -> Record | None:
        """A request, or None where none has come in that time."""
        while True:
            record = self._consumer.poll(seconds)
            if record is None:
                return None
            error = record.error()
            if error is None:
                self._ends.pop(place(record).partition, None)
                return record
            if error.fatal():
                raise KafkaException(error)
            if error.code() != KafkaError._PARTITION_EOF:
                log.warning("%s: %s", self._post.names.requests, error.str())
                return None
            self._ends[place(record).partition] = place(record).offset

    def _take(self, record: Record) -> None:
        try:
            asked = Asked.by(record, self._post.codec)
        except InvalidMessageError as wrong:
            log.warning("put aside: %s", wrong)
            self._commit(record, [dead_letter(record, wrong.code, wrong.message)])
            return
        refusal = self._refusal(asked)
        if refusal is None:
            post = self._post
            self._job = Job(asked, post.stage, post.settings, post.cancels, post.news, post.metrics)
            return
        with self._about(asked):
            log.info("%s is not done: %s", asked.request_id, refusal.message)
            response = Failure.of(refusal, asked.request_id, asked.correlation_id)
            if self._commit(record, [self._answer(asked, response)]):
                self._post.metrics.answered(self._post.stage.name, outcome_of(response))

    def _refusal(self, asked: Asked) -> VtryonError | None:
        """Why a request need not be done."""
        if self._post.cancels.has(asked.request_id):
            return CancelledError("It was cancelled before it began.")
        if asked.expired(now()):
            return DeadlineExceededError("Its deadline had passed before its turn came.")
        return None

    def _finish(self, job: Job) -> None:
        """Make the result known, if it is still ours to give."""
        self._job = None
        with self._about(job.asked):
            response = job.response or self._failed(job.asked)
            if job.dropped:
                log.info("%s: left to whoever has its partition now", job.asked.request_id)
            elif self._commit(job.asked.record, self._results(job, response)):
                seconds = time.monotonic() - job.began
                self._post.metrics.answered(self._post.stage.name, outcome_of(response), seconds)
                self._post.news.tell(job.asked, "done" if isinstance(response, Success) else "failed")

    def _about(self, asked: Asked) -> AbstractContextManager[None]:
        """What is logged inside is about this request."""
        return job_context(stage=self._post.stage.name, **asked.ids)

    def _failed(self, asked: Asked) -> Failure:
        """The answer of a job that ended without one."""
        error = InternalError("The worker failed. Its log has the details.")
        return Failure.of(error, asked.request_id, asked.correlation_id)

    def _results(self, job: Job, response: Success | Failure) -> list[Outgoing]:
        asked = job.asked
        results = [self._answer(asked, response)]
        if isinstance(response, Failure) and response.error_code not in NO_DEAD_LETTER:
            results.append(dead_letter(asked.record, response.error_code, response.error_message, job.history))
        return results

    def _answer(self, asked: Asked, response: Success | Failure) -> Outgoing:
        topic = self._post.names.responses
        return Outgoing(
            topic=topic,
            key=asked.key,
            value=self._post.codec.encode(topic, response),
            headers=asked.echoed | {WORKER: self._post.instance, REQUEST_PARTITION: asked.record.partition()},
            partition=asked.reply_partition(self._post.replies),
        )

    def _commit(self, record: Record, outgoing: list[Outgoing]) -> bool:
        """The one place where anything of a worker's becomes visible, apart from its news."""
        committed = self._committed(self._read_to(record), outgoing)
        if not committed:
            log.warning("a result is dropped: partition %d is somebody else's now", place(record).partition)
            self._ends.pop(place(record).partition, None)
        for letter in outgoing if committed else []:
            if (code := code_of(letter)) is not None:
                self._post.letters.put_aside(letter.topic, code)
        return committed

    def _read_to(self, record: Record | None = None) -> list[TopicPartition]:
        """What is behind us: all before the end of a partition that holds nothing undone, and this record."""
        ahead = {place(each).partition for each in self._ahead}
        offsets = {number: end for number, end in self._ends.items() if number not in ahead}
        if record is not None:
            read = place(record)
            offsets[read.partition] = max(read.offset + 1, offsets.get(read.partition, 0))
        return [TopicPartition(self._post.names.requests, number, offset) for number, offset in offsets.items()]

    def _committed(self, read: list[TopicPartition], outgoing: list[Outgoing]) -> bool:
        for left in reversed(range(COMMITS)):
            try:
                in_transaction(self._producer, outgoing, read, group_metadata(self._consumer))
            except MembershipLostError:
                return False
            except (TransactionAbortedError, FencedError) as failed:
                log.warning("a transaction failed, and its result is still in hand: %s", failed)
                if not left:
                    raise
                if isinstance(failed, FencedError):
                    # A new one under the same name ends what the old one left open, one way or the other.
                    self._producer = make_transactional_producer(self._post.settings, self._post.instance)
                    if self._was_committed(read):
                        break
            else:
                break
        for each in read:
            if self._ends.get(each.partition) == each.offset:
                del self._ends[each.partition]
        return True

    def _was_committed(self, read: list[TopicPartition]) -> bool:
        found = {each.partition: each.offset for each in self._consumer.committed(read, timeout=PATIENCE)}
        return all(found[each.partition] >= each.offset for each in read)

    # ---- rebalances: called from inside poll

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        self._membership.given()
        if self._paused:
            consumer.pause(partitions)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """A job whose partition is to go is finished first, or dropped if that takes too long."""
        self._forget(partitions)
        job = self._job
        if job is None or job.dropped or not _holds(partitions, job.asked.record):
            return
        with self._about(job.asked):
            log.info("%s: its partition is to move; finishing first", job.asked.request_id)
        if job.done.wait(min(self._post.settings.kafka_drain_seconds, self._post.settings.poll_seconds * PART_OF_POLL)):
            self._finish(job)
        else:
            job.drop()

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._membership.lost()
        self._forget(partitions)
        if self._job is not None and _holds(partitions, self._job.asked.record):
            self._job.drop()

    def _forget(self, partitions: list[TopicPartition]) -> None:
        for each in partitions:
            self._ends.pop(each.partition, None)
        self._ahead = deque(each for each in self._ahead if not _holds(partitions, each))


def _holds(partitions: list[TopicPartition], record: Record) -> bool:
    where = place(record)
    return any((each.topic, each.partition) == (where.topic, where.partition) for each in partitions)
