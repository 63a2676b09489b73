"""A stage that does the jobs of an inbox, one after the other."""

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

from shared_utils.contracts import Failure, Success, echoable
from shared_utils.errors import VtryonError
from shared_utils.measured import Measured
from shared_utils.stage import Stage, outcome_of
from shared_utils.telemetry.health import Health
from shared_utils.telemetry.logs import job_context
from shared_utils.telemetry.metrics import StageMetrics
from shared_utils.transports.files.claims import Claim
from shared_utils.transports.files.inbox import Inbox
from shared_utils.transports.files.jobs import OUTPUT_DIR, Job, is_relative, path_fields
from shared_utils.transports.files.settings import FilesSettings
from shared_utils.transports.files.settling import Parts
from shared_utils.turns import Turn, Turns

log = logging.getLogger("vtryon.files")

BUSY_SECONDS = 0.1
"""How often a worker with a job in hand looks whether it is to end; the job's end wakes it."""


class Worker:
    """Begins to warm the stage up at once."""

    def __init__(self, stage: Stage, settings: FilesSettings) -> None:
        self._settings = settings
        self._paths = path_fields(stage.request_type)
        self._inbox = Inbox(settings, self.parts_of)
        self.health = Health()
        self.metrics = StageMetrics(stage.name, lambda: self.health.ready)
        self._stage = stage.name
        self._warm, self._loop = self.health.part(stage.name), self.health.part("inbox")
        self._turns = Turns(Measured(stage, self.metrics), most=1)
        self.metrics.watch(stage.name, lambda: self._turns.working, lambda: self._turns.waiting)
        self._warm.runs_in(self._turns.thread)
        self._loop.busy_when(lambda: self._turns.working)

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping` is set and the job in hand is finished or left to another worker."""
        self.health.ends_with(stopping)
        if _done(self._turns.warm, stopping):
            self._turns.warm.result()
            self._warm.ready = self._loop.ready = True
        while not stopping.is_set():
            self._loop.turn()
            claim = self._inbox.next()
            if claim is None:
                stopping.wait(self._settings.files_poll_seconds)
            else:
                self._do(claim, stopping)

    def close(self) -> None:
        self._turns.close()
        self._inbox.close()

    def parts_of(self, job: Job) -> Parts | None:
        """The files that a job brings along: those that it names by relative paths."""
        try:
            fields = job.fields(self._settings)
            brought = [name for name in self._paths if name != OUTPUT_DIR and is_relative(fields.get(name))]
            located = job.located(fields, brought, job.base, self._settings)
        except VtryonError:
            return None
        return Parts([Path(located[name]) for name in brought], complete=True)

    def _do(self, claim: Claim, stopping: threading.Event) -> None:
        began = time.monotonic()
        fields: Mapping[str, Any] = {}
        try:
            fields = claim.job.fields(self._settings)
        except VtryonError as refused:
            self._finish(claim, Failure.of(refused, claim.id, None), began)
            return
        request_id = echoable(fields.get("request_id")) or claim.id
        correlation_id = echoable(fields.get("correlation_id"))
        with job_context(stage=self._stage, request_id=request_id, correlation_id=correlation_id):
            try:
                turn = self._turns.ask(self._completed(claim, fields))
            except VtryonError as refused:
                self._finish(claim, Failure.of(refused, request_id, correlation_id), began)
                return
            self._wait_for(turn, claim, began, stopping)

    def _wait_for(self, turn: Turn, claim: Claim, began: float, stopping: threading.Event) -> None:
        _done(turn.answer, stopping)
        try:
            self._finish(claim, turn.answer.result(self._settings.files_drain_seconds), began)
        except TimeoutError:
            log.warning("%r: not finished in time, left to another worker", claim.title)
            turn.give_up()
            self._turns.close()
            self._inbox.leave(claim)

    def _completed(self, claim: Claim, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields with their paths where they are, and named after the claim if they name nothing themselves: so
        whoever takes the job back writes the same files."""
        located = claim.job.located(fields, self._paths, claim.home, self._settings)
        given = {name: value for name, value in located.items() if value is not None}
        return {"request_id": claim.id, OUTPUT_DIR: str(claim.home)} | given

    def _finish(self, claim: Claim, response: Success | Failure, began: float) -> None:
        self.metrics.answered(self._stage, outcome_of(response), time.monotonic() - began)
        self._inbox.finish(claim, isinstance(response, Success), response.model_dump(mode="json"))


def _done(future: Future[Any], stopping: threading.Event) -> bool:
    """Wait for it, unless the process is to end."""
    while not future.done() and not stopping.is_set():
        wait([future], BUSY_SECONDS)
    return future.done()
