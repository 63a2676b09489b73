"""A stage somewhere else, over gRPC: a request goes in, its answer comes out, whatever happens."""

from typing import Generic, Self, TypeVar

from shared_utils.contracts import Failure, Request, Success
from shared_utils.transports.grpc.channel import Channel, read
from shared_utils.transports.grpc.errors import CallFailedError
from shared_utils.transports.grpc.generated.vtryon_pb2 import DESCRIPTOR

RequestT = TypeVar("RequestT", bound=Request)
SuccessT = TypeVar("SuccessT", bound=Success)


class StageClient(Generic[RequestT, SuccessT]):
    """Of the stage that takes these requests. Safe to be used by several threads."""

    def __init__(self, address: str, request_type: type[RequestT], response_type: type[SuccessT]) -> None:
        self._response_type = response_type
        methods = [method for service in DESCRIPTOR.services_by_name.values() for method in service.methods]
        self._method = next(method for method in methods if method.input_type.name == request_type.__name__)
        self._channel = Channel(self._method.containing_service, address)

    def run(self, request: RequestT, timeout: float | None = None) -> SuccessT | Failure:
        """The stage's answer. After `timeout` seconds nobody waits for it, and the stage stops.

        What the request was not given is left to the stage's own defaults.
        """
        given = {**request.model_dump(exclude_unset=True), "request_id": request.request_id}
        try:
            return read(self._response_type, self._channel.call(self._method.name, given, timeout))
        except CallFailedError as failed:
            return Failure.of(failed, request.request_id, request.correlation_id)

    def wait_until_ready(self, timeout: float = 120) -> None:
        """Come back when it can be used; a CallFailedError if it can't by then."""
        self._channel.wait_until_ready(timeout)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
