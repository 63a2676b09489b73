"""Try-ons from a folder: `python orchestrator/main.py --mode files --help`.

A job's try-ons have ids that are made from the id of its claim. So whoever takes the job back from a process that ended
asks for the same ones, which are there already, and waits for them.
"""

import argparse
import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from orchestrator import dropped
from orchestrator.gateway.core import Gateway
from orchestrator.gateway.http.metrics import Known
from orchestrator.gateway.intake import tryon_ids
from orchestrator.gateway.models import TryOnView
from orchestrator.gateway.process import SWEEP_SECONDS, opened_gateway
from orchestrator.gateway.settings import GatewayConfig
from shared_utils.artifacts.images import checked_picture
from shared_utils.artifacts.paths import write_whole
from shared_utils.contracts import Failure
from shared_utils.errors import InternalError, VtryonError, first_line
from shared_utils.signals import stopped_by_signals
from shared_utils.telemetry.endpoint import reachable
from shared_utils.telemetry.health import Health
from shared_utils.telemetry.logs import job_context, start_logging
from shared_utils.telemetry.metrics import Metrics
from shared_utils.telemetry.traces import start_traces
from shared_utils.transports.files.claims import Claim
from shared_utils.transports.files.command import add_folders
from shared_utils.transports.files.inbox import Inbox
from shared_utils.transports.files.settings import FilesSettings

log = logging.getLogger("vtryon.files")

OWNER = "files"
"""Whom the try-ons belong to, for the gateway."""
LOOK_SECONDS = 0.2
"""How often whoever waits for a try-on looks whether the process is to end; news of the try-on wakes it."""
AGAIN_SECONDS = 1.0
"""Before what may pass is tried again, if it does not say when."""


class FilesConfig(GatewayConfig, FilesSettings):
    files_max_jobs: int = Field(20, ge=1, le=1000, description="Jobs in hand at once; the others wait in the inbox.")


@dataclass(frozen=True)
class Ended:
    """What became of a job's try-ons."""

    succeeded: bool
    response: dict[str, Any]


class Left(Exception):  # noqa: N818  no error: the process is to end
    """The job is for the next process to finish."""


class TryOns:
    """Has the jobs of an inbox done, several at once."""

    def __init__(self, config: FilesConfig, gateway: Gateway, stopping: threading.Event) -> None:
        self._config = config
        self._gateway = gateway
        self._stopping = stopping
        self._inbox = Inbox(config, lambda job: dropped.parts_of(job, config))
        self._in_hand: dict[Future[Ended], Claim] = {}
        self._swept = 0.0
        self.health = Health()
        self.health.ends_with(stopping)
        self._loop = self.health.part("inbox")
        self._loop.runs_in(threading.current_thread())
        self.metrics = Metrics("files", lambda: self.health.ready)
        self.metrics.gauge("vtryon_files_jobs", "Jobs in hand.").set_function(lambda: len(self._in_hand))
        self.metrics.registry.register(Known(gateway))

    def run(self) -> None:
        """Work until `stopping` is set. What is under way by then goes on, and the next process has its result."""
        with ThreadPoolExecutor(self._config.files_max_jobs) as pool:
            self._loop.ready = True
            while not self._stopping.is_set():
                self._loop.turn()
                self._sweep_if_due()
                claim = self._inbox.next() if len(self._in_hand) < self._config.files_max_jobs else None
                if claim is not None:
                    self._in_hand[pool.submit(self._ended, claim)] = claim
                elif self._in_hand:
                    wait(self._in_hand, LOOK_SECONDS, FIRST_COMPLETED)
                else:
                    self._stopping.wait(self._config.files_poll_seconds)
                self._finish()
        self._finish()

    def close(self) -> None:
        self._inbox.close()

    def _finish(self) -> None:
        for future in [each for each in self._in_hand if each.done()]:
            claim = self._in_hand.pop(future)
            try:
                ended = future.result()
            except Left:
                self._inbox.leave(claim)
            else:
                self._inbox.finish(claim, ended.succeeded, ended.response)

    def _sweep_if_due(self) -> None:
        if not self._swept or time.monotonic() - self._swept > SWEEP_SECONDS:
            self._swept = time.monotonic()
            try:
                self._gateway.uploads.sweep()
            except OSError as denied:
                log.warning("old uploads stay where they are: %s", denied)

    # ---- one job, in a thread of its own

    def _ended(self, claim: Claim) -> Ended:
        try:
            views = self._asked(claim)
            # Waiting ends no process: what is asked for is not what a job is put aside for.
            claim.note_begun(0)
            return self._told(claim, [self._waited_for(view.id) for view in views])
        except VtryonError as failed:
            return _failed(claim, failed)
        except Left:
            raise
        except Exception as defect:
            log.exception("a defect")
            internal = InternalError(f"{type(defect).__name__}: {first_line(defect)} (the log has the details)")
            return _failed(claim, internal)

    def _asked(self, claim: Claim) -> list[TryOnView]:
        """Its try-ons, which are on their way when this comes back. What may pass is waited for."""
        while True:
            try:
                return asyncio.run(self._submitted(claim))
            except VtryonError as failed:
                if not failed.retryable:
                    raise
                log.warning("%r has to wait: %s", claim.title, failed.message)
                if self._stopping.wait(failed.retry_after or AGAIN_SECONDS):
                    raise Left from None

    async def _submitted(self, claim: Claim) -> list[TryOnView]:
        job = dropped.read(claim.job, self._config)
        fields = dict(job.fields)
        for name in (dropped.PERSON, dropped.MASK):
            fields[name] = await self._stored(claim, fields.get(name))
        garments = [await self._stored(claim, path) for path in job.garments]
        names = tryon_ids(OWNER, claim.id, len(garments))
        with job_context(correlation_id=",".join(names)):
            log.info("%r: %s", claim.title, ", ".join(names))
            return await self._gateway.submit(fields, garments, claim.id, OWNER)

    async def _stored(self, claim: Claim, path: Any) -> Any:
        """A picture that came with the job, where every worker can read it; others are where they are."""
        if not isinstance(path, str) or not Path(path).is_relative_to(claim.job.base):
            return path
        picture = await asyncio.to_thread(checked_picture, path, self._config)
        return await self._gateway.store(picture.content, path)

    def _waited_for(self, name: str) -> TryOnView:
        news = threading.Event()
        unsubscribe = self._gateway.follower.subscribe(name, news.set)
        try:
            while not (view := self._gateway.get(name)).ended:
                # However much news there is: a sampler with many steps has some all the time.
                if self._stopping.is_set():
                    raise Left
                news.wait(LOOK_SECONDS)
                news.clear()
        finally:
            unsubscribe()
        return view

    def _told(self, claim: Claim, views: list[TryOnView]) -> Ended:
        """The response, with the pictures beside it."""
        tryons = [view.model_dump(mode="json") | self._picture(claim, view) for view in views]
        problem = next((view.problem for view in views if view.problem is not None), None)
        if problem is None:
            return Ended(True, {"status": "success", "try_ons": tryons})
        failure = Failure(
            request_id=claim.id,
            error_code=problem.code,
            error_message=problem.message,
            retryable=problem.retryable,
        )
        return Ended(False, failure.model_dump(mode="json") | {"try_ons": tryons})

    def _picture(self, claim: Claim, view: TryOnView) -> dict[str, str]:
        """Copied to the job. Raises ImageGoneError if it is there no more."""
        if view.image_path is None:
            return {}
        file, suffix = asyncio.run(self._gateway.picture(view.id))
        copy = claim.home / (f"tryon_{view.id}{suffix}")
        write_whole({copy: file.read_bytes()})
        return {"image_path": str(copy)}


def _failed(claim: Claim, failed: VtryonError) -> Ended:
    return Ended(False, Failure.of(failed, claim.id).model_dump(mode="json"))


def files_config(arguments: Sequence[str] | None = None) -> FilesConfig:
    """What the flags say, else the environment."""
    parser = argparse.ArgumentParser(
        prog="python orchestrator/main.py",
        usage="%(prog)s --mode files [options]",
        description="Has try-ons done that are dropped into a folder, until SIGTERM or Ctrl-C. It needs an "
        "orchestrator and workers on the same Kafka.",
        epilog="All other settings come from the environment and .env: see docs/SETTINGS.md.",
        allow_abbrev=False,
    )
    parser.add_argument("--mode", choices=["files"], help=argparse.SUPPRESS)
    add_folders(parser)
    parser.add_argument("--kafka-bootstrap-servers", metavar="HOST:PORT", help="(default: localhost:9092)")
    given = parser.parse_args(arguments)
    return FilesConfig.read(
        files_inbox=given.inbox,
        files_outbox=given.outbox,
        kafka_bootstrap_servers=given.kafka_bootstrap_servers,
    )


def run_files(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 if it was told to end, 1 if it could not go on."""
    config = files_config(arguments)
    start_logging(config.log_level, config.log_format)
    start_traces(config, "files")
    try:
        with stopped_by_signals() as stopping:
            serve(config, stopping)
    except VtryonError as failed:
        log.error("%s: %s", failed.code, failed.message)  # noqa: TRY400  the message says it all
        return 1
    return 0


def serve(config: FilesConfig, stopping: threading.Event) -> None:
    """Until `stopping` is set."""
    # A file of a gateway's is that gateway's.
    own = config.model_copy(update={"gateway_view": None})
    with (
        opened_gateway(own) as gateway,
        closing(TryOns(own, gateway, stopping)) as tryons,
        reachable(own, tryons.health, tryons.metrics.text),
    ):
        while not gateway.follower.ready.wait(LOOK_SECONDS):
            if stopping.is_set():
                return
        log.info("waits for try-ons in %s", own.files_inbox)
        tryons.run()
