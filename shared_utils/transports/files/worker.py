"""A stage that does the jobs of an inbox, one after the other."""

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

from shared_utils.contracts import Failure, Success, echoable
from shared_utils.errors import VtryonError
from shared_utils.stage import Stage
from shared_utils.transports.files.claims import Claim
from shared_utils.transports.files.inbox import Inbox
from shared_utils.transports.files.jobs import OUTPUT_DIR, Job, is_relative, path_fields
from shared_utils.transports.files.settings import FilesSettings
from shared_utils.transports.files.settling import Parts
from shared_utils.turns import Turns

log = logging.getLogger("vtryon.files")

BUSY_SECONDS = 0.1
"""How often a worker with a job in hand looks whether it is to end; the job's end wakes it."""


class Worker:
    """Begins to warm the stage up at once."""

    def __init__(self, stage: Stage, settings: FilesSettings) -> None:
        self._settings = settings
        self._paths = path_fields(stage.request_type)
        self._inbox = Inbox(settings, self.parts_of)
        self._turns = Turns(stage, most=1)

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping` is set and the job in hand is finished or left to another worker."""
        if _done(self._turns.warm, stopping):
            self._turns.warm.result()
        while not stopping.is_set():
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
        fields: Mapping[str, Any] = {}
        try:
            fields = claim.job.fields(self._settings)
            turn = self._turns.ask(self._completed(claim, fields))
        except VtryonError as refused:
            request_id = echoable(fields.get("request_id")) or claim.id
            self._finish(claim, Failure.of(refused, request_id, echoable(fields.get("correlation_id"))))
            return
        _done(turn.answer, stopping)
        try:
            self._finish(claim, turn.answer.result(self._settings.files_drain_seconds))
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

    def _finish(self, claim: Claim, response: Success | Failure) -> None:
        self._inbox.finish(claim, isinstance(response, Success), response.model_dump(mode="json"))


def _done(future: Future[Any], stopping: threading.Event) -> bool:
    """Wait for it, unless the process is to end."""
    while not future.done() and not stopping.is_set():
        wait([future], BUSY_SECONDS)
    return future.done()
