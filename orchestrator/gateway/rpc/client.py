"""A client of the gateway over gRPC.

    with TryOnClient("localhost:50050") as client:
        (tryon,) = client.submit(SubmitRequest(person=person, garments=[garment], seed=7))
        for event in client.watch(tryon.id):
            print(event)

What can't be done is raised as a CallFailedError, with the gateway's code.
"""

import time
from collections.abc import Callable, Iterator
from typing import Self, TypeVar

from pydantic import BaseModel, SecretStr

from orchestrator.gateway.models import TryOnView
from orchestrator.gateway.rpc.calls import (
    CancelRequest,
    GetRequest,
    SubmitRequest,
    SubmitResponse,
    WatchEvent,
    WatchRequest,
)
from shared_utils.transports.grpc.channel import Channel, Metadata, read
from shared_utils.transports.grpc.errors import CallFailedError
from shared_utils.transports.grpc.generated.vtryon_pb2 import DESCRIPTOR

SECONDS = 60.0
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Before a broken stream is asked for again; then it is given up."""

Model = TypeVar("Model", bound=BaseModel)


class TryOnClient:
    """One gateway, or several behind one address. Safe to be used by several threads."""

    def __init__(
        self, address: str, api_key: SecretStr | None = None, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        metadata: Metadata = (("authorization", f"Bearer {api_key.get_secret_value()}"),) if api_key else ()
        self._channel = Channel(DESCRIPTOR.services_by_name["TryOn"], address, metadata)
        self._pause = pause

    def submit(self, request: SubmitRequest, timeout: float = SECONDS) -> list[TryOnView]:
        """A try-on for each garment. With an idempotency_key it may be asked for again without harm."""
        return self._call("Submit", request, SubmitResponse, timeout).try_ons

    def get(self, name: str, timeout: float = SECONDS) -> TryOnView:
        return self._call("Get", GetRequest(id=name), TryOnView, timeout)

    def cancel(self, name: str, timeout: float = SECONDS) -> TryOnView:
        """Have it stopped; it may take until the end of a step."""
        return self._call("Cancel", CancelRequest(id=name), TryOnView, timeout)

    def watch(self, name: str, after: str | None = None) -> Iterator[WatchEvent]:
        """What happens after this cursor, until the try-on has ended; each event once, though connections break."""
        pauses = iter(PAUSES)
        while True:
            try:
                for event in self._watched(WatchRequest(id=name, after=after)):
                    after = event.cursor or after
                    pauses = iter(PAUSES)
                    yield event
            except CallFailedError as failed:
                pause = next(pauses, None) if failed.retryable else None
                if pause is None:
                    raise
                self._pause(pause)
            else:
                return

    def wait_until_ready(self, timeout: float = 120) -> None:
        """Come back when it can be used; a CallFailedError if it can't by then."""
        self._channel.wait_until_ready(timeout)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _call(self, method: str, request: BaseModel, response: type[Model], timeout: float) -> Model:
        return read(response, self._channel.call(method, request.model_dump(exclude_unset=True), timeout))

    def _watched(self, request: WatchRequest) -> Iterator[WatchEvent]:
        for fields in self._channel.stream("Watch", request.model_dump()):
            yield read(WatchEvent, fields)
