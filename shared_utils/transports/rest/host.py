"""A process with one stage behind HTTP, from its start to its end."""

import logging
import math
import threading
from concurrent.futures import Future

from shared_utils.errors import InternalError, VtryonError, first_line
from shared_utils.stage import Stage
from shared_utils.transports.rest.app import Service
from shared_utils.transports.rest.serving import HttpServer
from shared_utils.transports.rest.settings import RestSettings

log = logging.getLogger("vtryon.rest")

ANSWER_SECONDS = 10
"""For the last answers to be sent."""


def serve_stage(stage: Stage, settings: RestSettings, stopping: threading.Event) -> None:
    """Serve until `stopping` is set and the request in hand is answered. Raises what kept the stage from warming up."""
    service = Service(stage, settings)
    # Counted from when no more connections are taken, so the request in hand has its time in it.
    stop_seconds = math.ceil(settings.rest_drain_seconds) + ANSWER_SECONDS
    server = HttpServer(service.app, settings.rest_host, settings.rest_port, stop_seconds=stop_seconds)
    server.start()
    log.info("%s listens on %s", stage.name, server.url)

    def warmed_up(warm: Future[None]) -> None:
        if warm.exception() is None:
            log.info("%s is ready", stage.name)
        else:
            stopping.set()

    service.turns.warm.add_done_callback(warmed_up)
    service.warm_up()
    stopping.wait()
    server.stop_accepting()
    # While it warms up nothing is in hand: there is nothing to wait for.
    service.turns.close(settings.rest_drain_seconds if service.turns.warm.done() else 0)
    if service.turns.working:
        log.warning("the request in hand did not end in time")
    server.stop()
    _check(service.turns.warm)


def _check(warm: Future[None]) -> None:
    """Whether the end was asked for, or came of a stage that did not warm up."""
    failed = warm.exception() if warm.done() else None
    if isinstance(failed, VtryonError):
        raise failed
    if failed is not None:
        log.error("a defect while warming up", exc_info=failed)
        raise InternalError(f"{type(failed).__name__}: {first_line(failed)} (the log has the details)")
