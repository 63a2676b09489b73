"""Gives out the jobs of an inbox, each to one worker, and puts them into the outbox when they have been answered."""

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from shared_utils.artifacts.paths import output_folder
from shared_utils.contracts import Failure
from shared_utils.errors import InvalidRequestError, OutputDirNotWritableError, VtryonError, first_line
from shared_utils.transports.files.claims import Answer, Claim, Claims
from shared_utils.transports.files.entries import Entry, entries
from shared_utils.transports.files.outbox import put
from shared_utils.transports.files.settings import FilesSettings
from shared_utils.transports.files.settling import PartsOf, Settling

log = logging.getLogger("vtryon.files")

MOST_BEGUN = 3
"""How often work on a job begins: one that ended its worker as often as that would end the next one too."""


class WorkerDiedError(VtryonError):
    """Every worker that had this job ended in the middle of it: killed, or out of memory."""

    code = "WORKER_DIED"


class Inbox:
    """What one process sees of the inbox. Raises VtryonError if the folders can't be used."""

    def __init__(self, settings: FilesSettings, parts_of: PartsOf, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = output_folder(str(settings.files_inbox), settings)
        self._outbox = output_folder(str(settings.files_outbox), settings)
        if self._outbox.is_relative_to(self._folder):
            raise InvalidRequestError(
                f"FILES_OUTBOX={settings.files_outbox} lies in the inbox: what came out would go in again."
            )
        self._poll_seconds = settings.files_poll_seconds
        self._clock = clock
        self._settling = Settling(settings, parts_of, clock)
        self._looked = -self._poll_seconds - 1
        self._waiting: deque[Entry] = deque()
        self._abandoned: deque[Claim] = deque()
        self._told: deque[str] = deque(maxlen=100)
        try:
            self._claims = Claims(self._folder)
        except OSError as failed:
            raise OutputDirNotWritableError(f"Can't lock files in {self._folder}: {first_line(failed)}.") from failed

    def next(self) -> Claim | None:
        """A job that is this process's to do; None if there is none now."""
        self._look_if_due()
        while self._abandoned:
            claim = self._abandoned.popleft()
            if self._taken_back(claim):
                return claim
        while self._waiting:
            entry = self._waiting.popleft()
            taken = self._taken(entry)
            if taken is not None:
                log.info("taken: %r", entry.path.name)
                return taken
        return None

    def finish(self, claim: Claim, succeeded: bool, response: Mapping[str, Any]) -> None:
        """Put it into the outbox. If that can't be done now, it is tried again with every look at the inbox."""
        try:
            claim.note_answer(Answer(succeeded, dict(response)))
        except VtryonError as failed:
            log.warning("%r is answered, but %s: %s", claim.title, failed.code, failed.message)
            self._claims.leave(claim)
        else:
            self._put(claim)

    def leave(self, claim: Claim) -> None:
        """To the next worker, as if nobody had begun it."""
        claim.note_begun(max(0, claim.record.begun - 1))
        self._claims.leave(claim)

    def close(self) -> None:
        for claim in self._abandoned:
            self._claims.leave(claim)
        self._claims.close()

    def _look_if_due(self) -> None:
        now = self._clock()
        if now - self._looked < self._poll_seconds:
            return
        self._looked = now
        try:
            self._abandoned.extend(self._claims.abandoned())
            self._waiting = deque(entries(self._folder))
        except OSError as denied:
            self._tell(f"can't look into {str(self._folder)!r}: {first_line(denied)}")
        self._settling.forget_all_but({entry.path.name for entry in self._waiting})

    def _taken_back(self, claim: Claim) -> bool:
        """Whether there is work to do on a claim that was abandoned."""
        record = claim.record
        if claim.answer is not None:
            self._put(claim)
            return False
        if record.begun >= MOST_BEGUN:
            died = WorkerDiedError(
                f"{record.begun} workers ended while they had this job. Their logs, or the system's, say why: "
                "it may take more memory than there is."
            )
            self.finish(claim, succeeded=False, response=Failure.of(died, claim.id).model_dump(mode="json"))
            return False
        try:
            claim.note_begun(record.begun + 1)
        except OSError as denied:
            self._tell(f"can't go on with {record.name!r}, tried again: {first_line(denied)}")
            self._claims.leave(claim)
            return False
        log.warning("taken back from a worker that ended: %r", record.name)
        return True

    def _taken(self, entry: Entry) -> Claim | None:
        try:
            return self._claims.take(entry) if self._settling.ready(entry) else None
        except OSError as denied:
            self._tell(f"can't take {entry.path.name!r} out of the inbox, left there: {first_line(denied)}")
            return None

    def _put(self, claim: Claim) -> None:
        answer = claim.answer
        try:
            target = put(claim, answer, self._outbox) if answer is not None else None
        except (OSError, VtryonError) as failed:
            self._tell(f"can't put {claim.title!r} into the outbox, tried again: {first_line(failed)}")
            self._claims.leave(claim)
            return
        if target is not None:
            log.info("%s: %r", target.parent.name, os.fspath(target))
        self._claims.end(claim)

    def _tell(self, problem: str) -> None:
        """Once, not with every look."""
        if problem not in self._told:
            self._told.append(problem)
            log.warning("%s", problem)
