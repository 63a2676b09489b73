"""What the gateway does, whichever way a caller came in: HTTP and gRPC adapt this one."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.asking import asked, cancelled
from orchestrator.gateway.errors import (
    GatewayNotReadyError,
    IdempotencyKeyReusedError,
    ImageGoneError,
    TooManyWaitingError,
    TryOnEndedError,
    TryOnNotSucceededError,
    TryOnUnknownError,
)
from orchestrator.gateway.events import stream
from orchestrator.gateway.guards import Keys, Rates
from orchestrator.gateway.intake import Intake
from orchestrator.gateway.models import ENDED, Cursor, Event, TryOnView
from orchestrator.gateway.sender import Sender
from orchestrator.gateway.settings import GatewayConfig
from orchestrator.gateway.uploads import Uploads
from orchestrator.gateway.view.follower import Follower
from orchestrator.gateway.view.view import View
from shared_utils.artifacts.images import checked_header
from shared_utils.artifacts.paths import allowed
from shared_utils.contracts import echoable
from shared_utils.errors import ImageInvalidError
from shared_utils.telemetry.logs import job_context
from shared_utils.telemetry.traces import span
from shared_utils.transports.kafka.messages import CORRELATION_ID, Codec

READY_SECONDS = 2
ROOM_SECONDS = 10
"""When those who were sent away may come back."""


class Gateway:
    """One for all calls; safe to be used from several event loops."""

    def __init__(self, config: GatewayConfig, codec: Codec, view: View, follower: Follower, sender: Sender) -> None:
        self.view = view
        self.follower = follower
        self.keys = Keys(config.api_keys)
        self.codec = codec
        self.uploads = Uploads(config)
        self._config = config
        self._sender = sender
        self._rates = Rates(config.gateway_rate_per_minute)
        self._intake = Intake(config, self.uploads)
        self._sending: dict[str, str] = {}
        """The request ids of try-ons that Kafka does not have yet."""

    # ---- who may come in

    @property
    def ready(self) -> bool:
        """Whether it knows what Kafka knows."""
        return self.follower.ready.is_set()

    def check_ready(self) -> None:
        """Raises GatewayNotReadyError."""
        if not self.ready:
            raise self._not_ready()

    def owner(self, key: str | None) -> str:
        """The name of the caller who has this API key. Raises UnauthorizedError."""
        return self.keys.owner(key)

    def admit(self, owner: str) -> None:
        """Whether a request for try-ons would be taken: asked before its body is read."""
        self.check_ready()
        self._check_room(1)
        self._rates.take(owner)

    # ---- asking and stopping

    async def store(self, content: bytes, name: str = "The picture") -> str:
        """The path of an uploaded picture. Raises ImageInvalidError."""
        return await asyncio.to_thread(self.uploads.store, content, name)

    async def submit(
        self, fields: Mapping[str, Any], garments: Sequence[str], idempotency: str | None, owner: str
    ) -> list[TryOnView]:
        """One try-on for each garment, in Kafka when this comes back. With an Idempotency-Key that was sent before,
        those that there are already."""
        self.check_ready()
        with span("submit", "server") as call:
            requests = await asyncio.to_thread(self._intake.requests, fields, garments, idempotency, owner)
            names = [str(request[CORRELATION_ID]) for request in requests]
            call.set(CORRELATION_ID, ",".join(names))
            new = [request for request in requests if not self._is_known(request)]
            if new:
                self._check_room(len(new))
                with job_context(correlation_id=",".join(names)):
                    await self._send(new)
        return [self.get(name) for name in names]

    async def cancel(self, name: str) -> TryOnView:
        """Tell its orchestrator to stop it. One that was cancelled before is shown as it is."""
        known = self.view.tryon(name)
        if known is None:
            raise self._unknown(name)
        if known.state == "cancelled":
            return self.get(name)
        if known.state in ENDED:
            raise TryOnEndedError(f"The try-on {name} has ended already: {known.state}.")
        record = await asyncio.to_thread(cancelled, self.codec, name, known.partition)
        await self._sender.send(record)
        return self.get(name)

    # ---- looking

    def get(self, name: str) -> TryOnView:
        found = self.view.get(name)
        if found is None:
            raise self._unknown(name)
        return found

    def body(self, name: str) -> bytes:
        """What `get` gives, as JSON that is ready to be sent."""
        found = self.view.body(name)
        if found is None:
            raise self._unknown(name)
        return found

    def list(self, state: str | None, limit: int, cursor: str | None) -> tuple[list[TryOnView], str | None]:
        """Newest first, and where the next page begins."""
        self.check_ready()
        return self.view.list(state, limit, cursor)

    def all_heard(self, name: str, after: Cursor) -> bool:
        """Whether it has ended, and whoever is at this place has heard of it all."""
        return self.view.told(name, after)

    def events(self, name: str, after: Cursor) -> AsyncIterator[Event | None]:
        """What happens to it, from that place on; None now and then, to show that one is still there."""
        if self.view.tryon(name) is None:
            raise self._unknown(name)
        return stream(self.view, self.follower, name, after)

    async def picture(self, name: str) -> tuple[Path, str]:
        """Where its picture is, and what kind of picture by its content: the suffix."""
        known = self.view.tryon(name)
        if known is None:
            raise self._unknown(name)
        if known.image_path is None:
            raise TryOnNotSucceededError(f"The try-on {name} has no picture: it is {known.state}.")
        return await asyncio.to_thread(self._looked_at, known.image_path)

    # ---- what these do

    def _looked_at(self, path: str) -> tuple[Path, str]:
        try:
            file = allowed(path, self._config)
            if file.is_file() and file.stat().st_size <= self._config.max_file_mb * 1e6:
                with file.open("rb") as opened:
                    return file, checked_header(path, opened, self._config)
        except (OSError, ImageInvalidError):
            pass  # the same for whoever wants to look at it
        raise ImageGoneError("The picture is no longer where it was written, or is none any more.")

    async def _send(self, requests: Sequence[Mapping[str, Any]]) -> None:
        """Come back when Kafka has them, and the view knows them."""
        sending = {str(request[CORRELATION_ID]): str(request["request_id"]) for request in requests}
        # Before anything is waited for: another call with the same key must see them.
        self._sending |= sending
        try:
            records = await asyncio.to_thread(lambda: [asked(self.codec, request) for request in requests])
            places = await self._sender.send(*records)
            for request, place in zip(requests, places, strict=True):
                self.view.submitted(request, place.partition, place.offset)
        finally:
            for name in sending:
                self._sending.pop(name, None)

    def _is_known(self, request: Mapping[str, Any]) -> bool:
        """Raises IdempotencyKeyReusedError if its id is that of another request."""
        name = str(request[CORRELATION_ID])
        known = self.view.tryon(name)
        before = self._sending.get(name) if known is None else known.request_id
        if before not in (None, request["request_id"]):
            raise IdempotencyKeyReusedError(
                "This Idempotency-Key was sent before, with another request. Give each request a key of its own."
            )
        return known is not None

    def _check_room(self, more: int) -> None:
        if self.view.waiting() + more > self._config.gateway_max_waiting:
            raise TooManyWaitingError(
                f"{self._config.gateway_max_waiting} try-ons wait for an orchestrator, which is the most "
                "(GATEWAY_MAX_WAITING). Try again later.",
                ROOM_SECONDS,
            )

    def _not_ready(self) -> GatewayNotReadyError:
        return GatewayNotReadyError("The gateway is still reading what Kafka knows. Try again.", READY_SECONDS)

    def _unknown(self, name: str) -> TryOnUnknownError | GatewayNotReadyError:
        if not self.ready:
            return self._not_ready()
        return TryOnUnknownError(f"There is no try-on {echoable(name)}, or none any more: they are known for a week.")
