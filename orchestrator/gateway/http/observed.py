"""What every call goes through: it is counted and logged, gets the headers that keep browsers safe, and is answered
even where a defect kept others from doing so."""

import logging
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.gateway.http.metrics import Metrics
from orchestrator.gateway.http.problems import problem
from shared_utils.errors import InternalError
from shared_utils.telemetry.logs import job_context

log = logging.getLogger("vtryon.gateway")

HEADERS = [
    # The page needs nothing from elsewhere, and no script but its files. Previews are data:, what one drops is blob:.
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
NO_STORE = (b"cache-control", b"no-store")
UNNAMED = "none"
"""The route of the page's files, and of calls for what there is not."""
QUIET = ("/health/live", "/health/ready", "/metrics")
"""Asked for again and again by machines."""
LONGEST_PATH = 200
MADE = "vtryon.made"
"""Where a call that made try-ons notes their ids, in its scope, for the line of the log."""
IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Observed:
    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._note(scope, status, time.perf_counter() - began)
                message = {**message, "headers": _with_ours(message.get("headers", []))}
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as defect:
            if status:  # half an answer can't be mended
                raise
            log.exception("a defect in the gateway")
            answer = problem(InternalError(f"{type(defect).__name__} (the log has the details)"))
            await answer(scope, receive, noted)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", UNNAMED)
        method = scope["method"] if route != UNNAMED else UNNAMED
        self._metrics.answered(method, route, status, seconds)
        level = logging.DEBUG if route in QUIET else logging.INFO
        if log.isEnabledFor(level):
            # As it was sent: what is decoded can hold line breaks.
            path = scope.get("raw_path", b"").decode("ascii", "replace")[:LONGEST_PATH]
            with job_context(correlation_id=_tryon(scope)):
                log.log(level, "%s %s %d %.1f ms", scope["method"], path, status, seconds * 1000)


def _with_ours(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    cached = any(name.lower() == b"cache-control" for name, _ in headers)
    return [*headers, *HEADERS] if cached else [*headers, *HEADERS, NO_STORE]


def _tryon(scope: Scope) -> str | None:
    """The ids that the call made, or the one in the path, if it can be one."""
    if MADE in scope:
        return str(scope[MADE])
    name = scope.get("path_params", {}).get("id", "")
    return name if IDENTIFIER.fullmatch(name) else None
