"""A request in hand: worked on in a thread of its own, so that the worker can go on polling."""

import logging
import threading
import time

from shared_utils.comfy.progress import Step
from shared_utils.contracts import Failure, Message, Success, Timestamp, now
from shared_utils.ending import AT_WORK
from shared_utils.errors import CancelledError
from shared_utils.stage import Stage, answer
from shared_utils.telemetry.logs import job_context
from shared_utils.telemetry.metrics import StageMetrics
from shared_utils.telemetry.traces import continued
from shared_utils.transports.kafka.asked import Asked
from shared_utils.transports.kafka.cancels import Cancels
from shared_utils.transports.kafka.news import News
from shared_utils.transports.kafka.settings import WorkerSettings

log = logging.getLogger("vtryon.kafka")


UNWANTED = "Nobody waits for this request any more."
LOOK_SECONDS = 0.2
"""How often a job that rests looks whether it was cancelled."""


class Attempt(Message):
    """One try that did not succeed, for the history of a dead letter."""

    attempt: int
    code: str
    message: str
    at: Timestamp


class Job:
    """Starts at once. `done` is set when it has ended, however it has; `response` is None if by a defect of ours."""

    def __init__(
        self,
        asked: Asked,
        stage: Stage,
        settings: WorkerSettings,
        cancels: Cancels,
        news: News,
        metrics: StageMetrics,
    ) -> None:
        self.asked = asked
        self.began = time.monotonic()
        self.done = threading.Event()
        self.dropped = False
        """Somebody else is to do it: nobody may hear of its result."""
        self.history: list[Attempt] = []
        self.response: Success | Failure | None = None
        self._stage = stage
        self._settings = settings
        self._cancels = cancels
        self._news = news
        self._metrics = metrics
        self._stop = threading.Event()
        threading.Thread(target=self._run, name=f"{AT_WORK}{asked.request_id}", daemon=True).start()

    def drop(self) -> None:
        """Stop as soon as the stage can, and forget about it."""
        self.dropped = True
        self._stop.set()

    def _run(self) -> None:
        try:
            with job_context(stage=self._stage.name, **self.asked.ids), continued(self.asked.headers):
                self._news.tell(self.asked, "started")
                self.response = self._with_retries()
        except Exception:
            log.exception("a defect of the worker")
        finally:
            self.done.set()

    def _with_retries(self) -> Success | Failure:
        pause, most = self._settings.kafka_retry_backoff_seconds, self._settings.kafka_max_attempts
        while True:
            response = self._attempt()
            if isinstance(response, Success):
                return response
            attempt = len(self.history) + 1
            code, message = response.error_code, response.error_message
            self.history.append(Attempt(attempt=attempt, code=code, message=message, at=now()))
            if not response.retryable or attempt >= most:
                return response
            log.info("%s: attempt %d of %d failed, again in %g s", self.asked.request_id, attempt, most, pause)
            self._rest(pause)
            pause *= 2
            self._metrics.retried(self._stage.name)

    def _attempt(self) -> Success | Failure:
        if self._unwanted():
            return Failure.of(CancelledError(UNWANTED), self.asked.request_id, self.asked.correlation_id)
        return answer(self._stage, self.asked.fields, self._watch, attempt=len(self.history) + 1)

    def _unwanted(self) -> bool:
        return self._stop.is_set() or self._cancels.has(self.asked.request_id)

    def _rest(self, seconds: float) -> None:
        """Wait before the next attempt, as long as somebody waits for it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._unwanted():
            self._stop.wait(min(LOOK_SECONDS, seconds))

    def _watch(self, step: Step) -> None:
        """Told of every node and every step of the sampler; the place to stop."""
        if self._unwanted():
            raise CancelledError(UNWANTED)
        self._news.tell(self.asked, "running", step)
