"""Try-ons over HTTP: asking for them, looking at them, stopping them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from orchestrator.gateway.core import Gateway
from orchestrator.gateway.errors import (
    CallbackNotAllowedError,
    GatewayNotReadyError,
    IdempotencyKeyReusedError,
    ImageGoneError,
    OriginNotAllowedError,
    RateLimitedError,
    TooManyWaitingError,
    TryOnEndedError,
    TryOnNotSucceededError,
    TryOnUnknownError,
    UnauthorizedError,
)
from orchestrator.gateway.events import KEEP_ALIVE, framed
from orchestrator.gateway.guards import bearer
from orchestrator.gateway.http.bodies import read_body
from orchestrator.gateway.http.described import EVENT, IDEMPOTENCY_KEY, REQUEST_BODY, TEXT
from orchestrator.gateway.http.metrics import Metrics
from orchestrator.gateway.http.observed import MADE
from orchestrator.gateway.http.origins import check_origin
from orchestrator.gateway.http.pages import WholeFile
from orchestrator.gateway.http.problems import documented
from orchestrator.gateway.models import Cursor, Event, State, TryOnView
from orchestrator.gateway.settings import GatewayConfig
from shared_utils.errors import (
    ImageInvalidError,
    ImageNotFoundError,
    InvalidRequestError,
    PathNotAllowedError,
    StorageFullError,
)
from shared_utils.ports import TooSlowError
from shared_utils.telemetry.traces import continued
from shared_utils.transports.kafka.client import KafkaUnavailableError
from shared_utils.transports.rest.errors import MediaTypeUnknownError, TooLargeError

PATH = "/v1/try-ons"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}
LONGEST_PAGE = 200

Id = Annotated[str, Path(description="The try-on's id.", examples=["5f6c1a7e9d0b4c3f8e2a1b0c9d8e7f60"])]


class TryOns(BaseModel):
    model_config = ConfigDict(frozen=True)

    try_ons: list[TryOnView] = Field(description="One for each garment, in their order.")


class Page(BaseModel):
    model_config = ConfigDict(frozen=True)

    try_ons: list[TryOnView] = Field(description="The newest first.")
    next: str | None = Field(description="The cursor of the next page; null if this is the last.")


class TryOnRoutes:
    """The endpoints. They answer with bytes that are ready: nothing is checked a second time on its way out."""

    def __init__(self, gateway: Gateway, config: GatewayConfig, metrics: Metrics) -> None:
        self._gateway = gateway
        self._config = config
        self._metrics = metrics

    def add_to(self, app: FastAPI) -> None:
        for method, path, endpoint, documents in (
            ("POST", "", self.submit, SUBMIT),
            ("GET", "", self.list, LIST),
            ("GET", "/{id}", self.get, GET),
            ("DELETE", "/{id}", self.cancel, CANCEL),
            ("GET", "/{id}/events", self.events, EVENTS),
            ("GET", "/{id}/image", self.image, IMAGE),
        ):
            app.add_api_route(
                f"{PATH}{path}",
                endpoint,
                methods=[method],
                tags=["try-ons"],
                summary=endpoint.__name__,
                operation_id=endpoint.__name__,
                response_class=Response,
                **documents,
            )

    async def submit(self, request: Request) -> Response:
        """Ask for one try-on, or for several: one person, many garments. Pictures come as form data, or lie already
        where the gateway's STORAGE_ROOTS allow it. With an Idempotency-Key the same request can be sent again, to any
        gateway, and is done once."""
        check_origin(request.headers, self._config.gateway_cors_origins)
        owner = self._owner(request)
        self._gateway.admit(owner)
        wanted = await read_body(request, self._gateway, self._config)
        key = request.headers.get("idempotency-key")
        with continued(request.headers):
            made = await self._gateway.submit(wanted.fields, wanted.garments, key, owner)
        request.scope[MADE] = ",".join(each.id for each in made)
        return _json(TryOns(try_ons=made), 202, {"location": f"{PATH}/{made[0].id}"})

    async def list(
        self,
        request: Request,
        state: Annotated[State | None, Query(description="Only those in this state.")] = None,
        limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="How many.")] = 50,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=1000)] = None,
    ) -> Response:
        """The try-ons that are known, the newest first."""
        self._owner(request)
        found, following = await asyncio.to_thread(self._gateway.list, state, limit, cursor)
        return _json(Page(try_ons=found, next=following))

    async def get(self, request: Request, id: Id) -> Response:  # noqa: A002  its name in the path
        """How far a try-on is."""
        self._owner(request)
        return Response(self._gateway.body(id), media_type=JSON)

    async def cancel(self, request: Request, id: Id) -> Response:  # noqa: A002
        """Have a try-on stopped. A worker stops between two steps of the sampler. 200: it was before."""
        check_origin(request.headers, self._config.gateway_cors_origins)
        self._owner(request)
        shown = await self._gateway.cancel(id)
        return _json(shown, 200 if shown.state == "cancelled" else 202)

    async def events(
        self,
        request: Request,
        id: Id,  # noqa: A002
        last_event_id: Annotated[
            str | None, Header(description="Go on behind this event, at any gateway.", max_length=100)
        ] = None,
    ) -> Response:
        """What happens to a try-on, as it happens: `status` with the whole of it, `progress` with one step's news. The
        stream ends with the try-on. 204: it has ended, and all of it was heard."""
        self._owner(request)
        after = Cursor.parse(last_event_id) if last_event_id else Cursor()
        if self._gateway.all_heard(id, after):
            return Response(status_code=204)
        events = self._counted(self._gateway.events(id, after))
        return StreamingResponse(events, media_type=EVENT_STREAM, headers={"x-accel-buffering": "no"})

    async def image(
        self,
        request: Request,
        id: Id,  # noqa: A002
        download: Annotated[bool, Query(description="As a file to be kept, not shown.")] = False,
    ) -> Response:
        """The picture."""
        self._owner(request)
        file, suffix = await self._gateway.picture(id)
        # For whoever asked: it may be a person's photo.
        kept = {"cache-control": "private, max-age=3600"}
        return WholeFile(file, PICTURES[suffix], kept, f"tryon_{id}{suffix}" if download else None)

    def _owner(self, request: Request) -> str:
        return self._gateway.owner(bearer(request.headers.get("authorization")))

    async def _counted(self, events: AsyncIterator[Event | None]) -> AsyncIterator[bytes]:
        with self._metrics.open_streams.track_inprogress():
            async for event in events:
                yield KEEP_ALIVE if event is None else framed(event)


def _json(shown: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(shown.model_dump_json(), status, headers, JSON)


# ---- what OpenAPI says of them

_ALWAYS = (UnauthorizedError, GatewayNotReadyError)
_OF_ONE = (*_ALWAYS, TryOnUnknownError)
_BINARY = {"schema": {"type": "string", "format": "binary"}}

SUBMIT: dict[str, Any] = {
    "status_code": 202,
    "response_description": "They are in Kafka, and wait for an orchestrator.",
    "responses": {
        202: {"model": TryOns, "headers": {"Location": {"description": "The first of them.", "schema": TEXT}}},
        **documented(
            *_ALWAYS,
            OriginNotAllowedError,
            PathNotAllowedError,
            TooSlowError,
            IdempotencyKeyReusedError,
            TooLargeError,
            MediaTypeUnknownError,
            InvalidRequestError,
            ImageInvalidError,
            ImageNotFoundError,
            CallbackNotAllowedError,
            RateLimitedError,
            TooManyWaitingError,
            KafkaUnavailableError,
            StorageFullError,
        ),
    },
    "openapi_extra": {"requestBody": REQUEST_BODY, "parameters": [IDEMPOTENCY_KEY]},
}
LIST: dict[str, Any] = {
    "responses": {200: {"model": Page}, **documented(*_ALWAYS, InvalidRequestError)},
    "response_description": "A page of them.",
}
GET: dict[str, Any] = {
    "responses": {200: {"model": TryOnView}, **documented(*_OF_ONE)},
    "response_description": "As far as Kafka tells.",
}
CANCEL: dict[str, Any] = {
    "status_code": 202,
    "responses": {
        200: {"model": TryOnView, "description": "It was cancelled before."},
        202: {"model": TryOnView},
        **documented(*_OF_ONE, OriginNotAllowedError, TryOnEndedError, KafkaUnavailableError),
    },
    "response_description": "Its orchestrator was told.",
}
EVENTS: dict[str, Any] = {
    "responses": {
        200: {"content": {EVENT_STREAM: {"itemSchema": EVENT}}},
        204: {"description": "It has ended, and this event was its last."},
        **documented(*_OF_ONE, InvalidRequestError),
    },
    "response_description": "Server-sent events.",
}
IMAGE: dict[str, Any] = {
    "responses": {
        200: {"content": dict.fromkeys(PICTURES.values(), _BINARY)},
        **documented(*_OF_ONE, InvalidRequestError, TryOnNotSucceededError, ImageGoneError, PathNotAllowedError),
    },
    "response_description": "A PNG, JPEG or WebP, as was asked for.",
}
