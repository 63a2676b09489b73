"""The gateway's gRPC: the service TryOn, on the same core as HTTP."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from orchestrator.gateway.core import Gateway
from orchestrator.gateway.errors import GatewayNotReadyError
from orchestrator.gateway.guards import bearer
from orchestrator.gateway.intake import check_count
from orchestrator.gateway.models import Cursor, Event, TryOnView
from orchestrator.gateway.rpc.calls import (
    CancelRequest,
    GetRequest,
    SubmitResponse,
    WatchEvent,
    WatchRequest,
)
from orchestrator.gateway.settings import GatewayConfig
from shared_utils.contracts import Progress, invalid_request
from shared_utils.errors import InvalidRequestError
from shared_utils.telemetry.traces import continued
from shared_utils.transports.grpc.generated.vtryon_pb2 import DESCRIPTOR
from shared_utils.transports.grpc.server import GrpcServer, Limits
from shared_utils.transports.grpc.services import Call

MOST_CALLS = 5000
"""Most of them watch a try-on."""
UPLOADS_AT_ONCE = 8
"""A message with pictures is whole in memory before it is read."""
FIELDS_BYTES = 1_000_000
"""What the fields besides the pictures may take."""
LOOK_SECONDS = 0.2
PICTURES = {"person": "person_image_path", "mask": "mask_image_path", "garments": "garment_image_paths"}
"""The fields with contents, and those with paths that they stand for."""

Model = TypeVar("Model", bound=BaseModel)


class RpcServer:
    """Listens beside HTTP, in a thread of its own."""

    def __init__(self, gateway: Gateway, config: GatewayConfig) -> None:
        methods = TryOns(gateway, config)
        self._server = GrpcServer(
            DESCRIPTOR.services_by_name["TryOn"],
            {"Submit": methods.submit, "Get": methods.get, "Watch": methods.watch, "Cancel": methods.cancel},
            (config.gateway_host, config.gateway_grpc_port),
            Limits(int(config.gateway_max_upload_mb * 1e6) + FIELDS_BYTES, config.gateway_upload_seconds, MOST_CALLS),
        )
        self._ready = gateway.follower.ready
        self._stopping = threading.Event()
        self._waiting = threading.Thread(target=self._wait_until_ready, name="grpc health", daemon=True)

    @property
    def port(self) -> int:
        return self._server.port

    def start(self) -> None:
        """Come back when it listens. It is healthy once the gateway knows what Kafka knows."""
        self._server.start()
        self._waiting.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Take no more calls and end the streams; what is being answered may go on that long."""
        self._stopping.set()
        self._waiting.join()
        self._server.stop(seconds)

    def _wait_until_ready(self) -> None:
        while not self._stopping.is_set():
            if self._ready.wait(LOOK_SECONDS):
                self._server.set_serving().result()
                return


class TryOns:
    """The methods of the service."""

    def __init__(self, gateway: Gateway, config: GatewayConfig) -> None:
        self._gateway = gateway
        self._config = config
        self._uploading = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def submit(self, call: Call) -> SubmitResponse:
        owner = self._owner(call)
        self._gateway.admit(owner)
        async with self._uploading:
            fields = await call.fields()
            key = fields.pop("idempotency_key", None)
            garments = await self._stored(fields)
        with continued(call.trace):
            made = await self._gateway.submit(fields, garments, key, owner)
        return SubmitResponse(try_ons=made)

    async def get(self, call: Call) -> TryOnView:
        self._owner(call)
        return self._gateway.get((await _message(call, GetRequest)).id)

    async def watch(self, call: Call) -> AsyncIterator[WatchEvent]:
        self._owner(call)
        wanted = await _message(call, WatchRequest)
        after = Cursor.parse(wanted.after) if wanted.after else Cursor()
        async for event in self._gateway.events(wanted.id, after):
            if event is not None:
                after = event.cursor or after
                yield _told(event)
        if not self._gateway.all_heard(wanted.id, after):
            raise GatewayNotReadyError("This gateway is about to end. Ask another one, from the last cursor on.", 1)

    async def cancel(self, call: Call) -> TryOnView:
        self._owner(call)
        return await self._gateway.cancel((await _message(call, CancelRequest)).id)

    def _owner(self, call: Call) -> str:
        return self._gateway.owner(bearer(call.metadata("authorization")))

    async def _stored(self, fields: dict[str, Any]) -> list[str]:
        """Put paths in the place of contents; those of the garments."""
        for content, path in PICTURES.items():
            if fields.get(content) and fields.get(path):
                raise InvalidRequestError(f"Give either {content} or {path}.")
        contents, paths = fields.pop("garments"), fields.pop("garment_image_paths")
        check_count(len(contents or paths), self._config)
        for content in ("person", "mask"):
            if content in fields:
                fields[PICTURES[content]] = await self._gateway.store(fields.pop(content), content)
        stored = [await self._gateway.store(content, f"garment {n}") for n, content in enumerate(contents, start=1)]
        return stored or paths


async def _message(call: Call, kind: type[Model]) -> Model:
    try:
        return kind.model_validate(await call.fields())
    except ValidationError as wrong:
        raise invalid_request(wrong) from None


def _told(event: Event) -> WatchEvent:
    cursor = None if event.cursor is None else str(event.cursor)
    if event.kind == "status":
        return WatchEvent(cursor=cursor, status=TryOnView.model_validate_json(event.data))
    return WatchEvent(cursor=cursor, progress=Progress.model_validate_json(event.data))
