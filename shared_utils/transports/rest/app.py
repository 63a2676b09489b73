"""A stage's HTTP: its one verb, and how the process is."""

import asyncio
import time
import uuid
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive

from shared_utils.contracts import Failure, Message, Success, echoable
from shared_utils.errors import CancelledError, InternalError, VtryonError
from shared_utils.measured import Measured
from shared_utils.stage import Stage, outcome_of
from shared_utils.telemetry.metrics import TEXT, StageMetrics
from shared_utils.telemetry.traces import continued
from shared_utils.transports.rest.errors import MethodNotAllowedError, PathUnknownError
from shared_utils.transports.rest.fields import MEDIA_TYPE, check_known, check_media_type, parsed
from shared_utils.transports.rest.health import Health
from shared_utils.transports.rest.limits import Bounded
from shared_utils.transports.rest.listing import Listed
from shared_utils.transports.rest.openapi import document
from shared_utils.transports.rest.settings import RestSettings
from shared_utils.transports.rest.statuses import status_of
from shared_utils.turns import Turn, Turns

TRY_LATER = 503
METHOD_NOT_ALLOWED = 405
CLIENT_GONE = 499
"""What proxies write into their logs then. Nobody reads it."""


class Service:
    """One stage, one job at a time. What is asked before it is warm waits."""

    def __init__(self, stage: Stage, settings: RestSettings) -> None:
        self._metrics = StageMetrics(stage.name, lambda: self._warm)
        self._stage = Listed(Measured(stage, self._metrics))
        self._document = document(stage)
        self.turns = Turns(self._stage, settings.rest_queue)
        self._metrics.watch(stage.name, lambda: self.turns.working, lambda: self.turns.waiting)
        self.app: ASGIApp = Bounded(
            self._routed(),
            max_bytes=int(settings.rest_max_body_mb * 1e6),
            seconds=settings.rest_body_seconds,
            refuse=self._refuse,
        )

    def warm_up(self) -> None:
        """Begin to load the models."""
        self._stage.may_load.set()

    def _routed(self) -> Starlette:
        app = Starlette(
            routes=[
                Route(f"/v1/{self._stage.verb}", self._work, methods=["POST"]),
                Route("/v1/models", self._models),
                Route("/health/live", self._live),
                Route("/health/ready", self._ready),
                Route("/metrics", self._show_metrics),
                Route("/openapi.json", self._openapi),
            ],
            exception_handlers={HTTPException: self._not_here, ClientDisconnect: _gone, Exception: self._defect},
        )
        app.router.redirect_slashes = False
        return app

    # ---- the verb

    async def _work(self, request: Request) -> Response:
        began = time.monotonic()
        answered = await self._answer(request)
        self._count(answered, time.monotonic() - began)
        return self._reply(answered)

    async def _answer(self, request: Request) -> Success | Failure:
        fields: Mapping[str, Any] = {}
        try:
            check_media_type(request.headers.get("content-type"))
            fields = parsed(await request.body())
            check_known(self._stage.request_type, fields)
            with continued(request.headers):
                turn = self.turns.ask(fields)
            return await self._result(turn, request.receive)
        except VtryonError as refusal:
            return _failure(refusal, fields)

    async def _result(self, turn: Turn, receive: Receive) -> Success | Failure:
        """What came of it. It is given up when the client goes away."""
        answer: asyncio.Future[Any] = asyncio.wrap_future(turn.answer)
        gone: asyncio.Future[Any] = asyncio.ensure_future(_client_gone(receive))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                turn.give_up()
                await asyncio.wait({answer})
        finally:
            turn.give_up()
            gone.cancel()
        if answer.cancelled():
            raise CancelledError("The client went away before the request's turn came.")
        result: Success | Failure = answer.result()
        return result

    # ---- how the process is

    async def _models(self, request: Request) -> Response:
        return self._json(self._stage.listing)

    async def _live(self, request: Request) -> Response:
        return self._json(Health(status="live"))

    async def _ready(self, request: Request) -> Response:
        if self._warm:
            return self._json(Health(status="ready"))
        return self._json(Health(status="not ready"), TRY_LATER)

    @property
    def _warm(self) -> bool:
        warm = self.turns.warm
        return warm.done() and warm.exception() is None

    async def _show_metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type=TEXT)

    async def _openapi(self, request: Request) -> Response:
        return JSONResponse(self._document)

    def _count(self, answered: Success | Failure, seconds: float | None = None) -> None:
        """One more answer; without seconds if it was not worth measuring."""
        self._metrics.answered(self._stage.name, outcome_of(answered), seconds)

    # ---- what is answered instead

    def _refuse(self, error: VtryonError) -> Response:
        failure = _failure(error)
        self._count(failure)
        return self._reply(failure)

    async def _not_here(self, request: Request, wrong: Exception) -> Response:
        headers = dict(getattr(wrong, "headers", None) or {})
        if getattr(wrong, "status_code", None) == METHOD_NOT_ALLOWED:
            allowed = headers.get("Allow")
            error: VtryonError = MethodNotAllowedError(f"{request.method} is not for {request.url.path}: {allowed} is.")
        else:
            error = PathUnknownError(f"Nothing is at {request.url.path}. /openapi.json says what is here.")
        return self._reply(_failure(error), headers)

    async def _defect(self, request: Request, defect: Exception) -> Response:
        """The server writes the traceback into the log, and closes the connection: its client had better know."""
        failure = _failure(InternalError(f"{type(defect).__name__} (the log has the details)"))
        self._count(failure)
        return self._reply(failure, {"Connection": "close"})

    def _reply(self, answered: Success | Failure, headers: Mapping[str, str] | None = None) -> Response:
        status = status_of(answered.error_code) if isinstance(answered, Failure) else 200
        return self._json(answered, status, headers)

    def _json(self, answer: Message, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        response = Response(answer.model_dump_json(), status, headers, MEDIA_TYPE)
        if status == TRY_LATER:
            response.headers["Retry-After"] = str(self.turns.seconds)
        return response


def _failure(error: VtryonError, fields: Mapping[str, Any] | None = None) -> Failure:
    given = fields or {}
    request_id = echoable(given.get("request_id")) or uuid.uuid4().hex
    return Failure.of(error, request_id, echoable(given.get("correlation_id")))


async def _client_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _gone(request: Request, exception: Exception) -> Response:
    """In the middle of its request."""
    return Response(status_code=CLIENT_GONE)
