"""One round of the engine: what has come, turned into events; what follows, turned into records."""

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from confluent_kafka import Message as Record
from confluent_kafka import TopicPartition
from pydantic import ValidationError

from orchestrator.balance import Balance
from orchestrator.config import Config
from orchestrator.intake import taken_in
from orchestrator.memory import Shelf
from orchestrator.records import Records, failure
from orchestrator.spans import begun
from orchestrator.state import Problem, TryOn
from orchestrator.workflow import (
    Answered,
    AskStage,
    CancelRequested,
    Command,
    Event,
    Expired,
    Respond,
    StopStage,
    Submitted,
    advance,
    request_id,
)
from shared_utils.contracts import Cancel, echoable, now
from shared_utils.errors import InvalidRequestError
from shared_utils.telemetry.logs import job_context
from shared_utils.telemetry.traces import ids_of, trace_of, tracing
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.dead_letters import dead_letter
from shared_utils.transports.kafka.messages import (
    CORRELATION_ID,
    DEADLINE_EXCEEDED,
    REQUEST_PARTITION,
    WORKER,
    Codec,
    InvalidMessageError,
    as_number,
    decoded,
    headers_of,
    place,
)
from shared_utils.transports.kafka.sending import Outgoing

log = logging.getLogger("vtryon.orchestrator")

OF_THE_ENVELOPE = {"status", "request_id", "correlation_id", "timestamp"}


class Round:
    def __init__(
        self, shelves: Mapping[int, Shelf], config: Config, codec: Codec, records: Records, balance: Balance
    ) -> None:
        self.ended: list[TryOn] = []
        self._at = now()
        self._shelves = shelves
        self._config = config
        self._policy = config.policy
        self._codec = codec
        self._records = records
        self._balance = balance
        self._outgoing: list[Outgoing] = []
        self._changed: dict[tuple[int, str], TryOn] = {}
        self._before: dict[tuple[int, str], TryOn | None] = {}
        self._read: dict[tuple[str, int], int] = {}

    # ---- what has come

    def take_request(self, record: Record) -> None:
        home = self._mark_read(record)
        shelf = self._shelves[home]
        headers = headers_of(record)
        try:
            fields = decoded(self._codec, record)
        except InvalidMessageError as wrong:
            log.warning("put aside: %s", wrong)
            self._outgoing.append(dead_letter(record, wrong.code, wrong.message))
            return
        try:
            request = taken_in(fields, headers, self._config)
        except InvalidRequestError as wrong:
            self._refuse(record, fields, headers, wrong)
            return
        name = str(request.correlation_id)
        if name in shelf.ended or name in shelf.running:
            with job_context(correlation_id=name):
                log.info("try-on %s is known already; nothing is done twice", name)
            return
        cancelled = shelf.cancelled_early.pop(name, None) is not None
        if cancelled:
            self._read_cancels(home)
        # Somebody may send a request twice and hit two partitions: then two try-ons of one name must not share files.
        work_dir = str(self._config.intermediate_dir.absolute() / f"{name}-{home}")
        self._tell(home, None, Submitted(request, self._at, work_dir, begun(trace_of(headers)), cancelled))

    def take_answer(self, step: str, record: Record) -> None:
        home = self._mark_read(record)
        try:
            fields = decoded(self._codec, record)
        except InvalidMessageError as wrong:
            log.warning("passed over: %s", wrong)
            return
        name = str(fields.get("request_id"))
        headers = headers_of(record)
        self._balance.settled(name)
        lay_on = as_number(headers.get(REQUEST_PARTITION))
        if lay_on is not None and WORKER in headers:
            self._balance.learn(step, int(lay_on), headers[WORKER])
        tryon = self._shelves[home].running.get(str(fields.get("correlation_id")))
        if tryon is not None:
            self._tell(home, tryon, _answered(step, name, fields, self._at))

    def take_cancel(self, record: Record) -> None:
        home = place(record).partition
        shelf = self._shelves[home]
        shelf.cancels_read = place(record).offset + 1
        try:
            name = Cancel.model_validate(decoded(self._codec, record)).correlation_id
        except (InvalidMessageError, ValidationError) as wrong:
            log.warning("passed over: %s", wrong)
        else:
            if name in shelf.running:
                self._tell(home, shelf.running[name], CancelRequested(self._at))
            elif name not in shelf.ended:
                shelf.cancel_early(name, place(record).offset)
        self._read_cancels(home)

    def look_at_deadlines(self) -> None:
        for home, shelf in self._shelves.items():
            late = [
                (tryon, step)
                for tryon in shelf.running.values()
                for step, state in tryon.in_flight.items()
                if state.deadline <= self._at
            ]
            if late:
                self._read_cancels(home)  # some offset must go along: it is what shuts out an engine that was replaced
            for tryon, step in late:
                name = request_id(tryon.correlation_id, step, tryon.steps[step].attempt)
                self._tell(home, shelf.running.get(tryon.correlation_id), Expired(step, name, self._at))

    # ---- what follows

    def results(self) -> tuple[list[Outgoing], list[TopicPartition]]:
        """All there is to send, each state once, and the offsets to commit."""
        states = [self._records.status(tryon, home) for (home, _), tryon in self._changed.items()]
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in self._read.items()]
        return self._outgoing + states, offsets

    @property
    def changes(self) -> Iterator[tuple[TryOn | None, TryOn]]:
        """Each try-on that is not as it was: before the round, and now."""
        return ((self._before[at], tryon) for at, tryon in self._changed.items())

    def _tell(self, home: int, tryon: TryOn | None, event: Event) -> None:
        decision = advance(tryon, event, self._policy)
        if decision.tryon is None or decision.tryon is tryon:
            return
        at = home, decision.tryon.correlation_id
        self._shelves[home].put(decision.tryon)
        self._before.setdefault(at, tryon)
        self._changed[at] = decision.tryon
        with job_context(correlation_id=decision.tryon.correlation_id, trace_id=_trace_id(decision.tryon)):
            for command in decision.commands:
                self._do(home, decision.tryon, command)

    def _do(self, home: int, tryon: TryOn, command: Command) -> None:
        if isinstance(command, AskStage):
            partition = self._balance.choose(command.step, command.request_id)
            self._outgoing.append(self._records.request(command, tryon, home, partition))
        elif isinstance(command, StopStage):
            self._balance.settled(command.request_id)
            self._outgoing.append(self._records.cancel(tryon, command.request_id))
        elif isinstance(command, Respond):
            self._outgoing.extend(self._records.end(command.tryon, home))
            self.ended.append(command.tryon)
            log.info("try-on %s %s", tryon.correlation_id, _how_it_ended(tryon))

    def _refuse(
        self, record: Record, fields: Mapping[str, Any], headers: Mapping[str, str], wrong: InvalidRequestError
    ) -> None:
        """Whoever asked gets an answer, as far as it can be told who that is."""
        correlation_id = echoable(fields.get("correlation_id")) or echoable(headers.get(CORRELATION_ID))
        with job_context(correlation_id=correlation_id):
            log.warning("put aside: %s", wrong.message)
        self._outgoing.append(dead_letter(record, wrong.code, wrong.message))
        request_id = echoable(fields.get("request_id")) or correlation_id
        if request_id:
            ids = {"request_id": request_id, "correlation_id": correlation_id or request_id}
            answer = failure(Problem(code=wrong.code, message=wrong.message), ids, [])
            value = self._codec.encode(topics.TRYON_RESPONSES, answer)
            common = {CORRELATION_ID: ids["correlation_id"], **trace_of(headers)}
            home = place(record).partition
            self._outgoing.append(Outgoing(topics.TRYON_RESPONSES, ids["correlation_id"], value, common, home))

    def _mark_read(self, record: Record) -> int:
        read = place(record)
        self._read[read.topic, read.partition] = read.offset + 1
        return read.partition

    def _read_cancels(self, home: int) -> None:
        """Cancellations count as read up to the first whose try-on has not come yet."""
        shelf = self._shelves[home]
        self._read[topics.TRYON_CANCELS, home] = min(shelf.cancelled_early.values(), default=shelf.cancels_read)


def _answered(step: str, name: str, fields: Mapping[str, Any], at: datetime) -> Answered | Expired:
    if fields.get("status") == "success":
        return Answered(step, name, at, {key: value for key, value in fields.items() if key not in OF_THE_ENVELOPE})
    if fields.get("error_code") == DEADLINE_EXCEEDED:  # the worker has looked at the clock before we have
        return Expired(step, name, at)
    problem = Problem(
        code=str(fields.get("error_code") or "INVALID_RESPONSE"),
        message=str(fields.get("error_message") or f"{step} answered with neither success nor an error."),
        step=step,
        retryable=fields.get("retryable") is True,
    )
    return Answered(step, name, at, problem=problem)


def _trace_id(tryon: TryOn) -> str | None:
    found = ids_of(tryon.trace) if tracing() else None
    return None if found is None else found[0]


def _how_it_ended(tryon: TryOn) -> str:
    problem = tryon.problem
    return tryon.state if problem is None else f"{tryon.state}: {problem.code}: {problem.message}"
