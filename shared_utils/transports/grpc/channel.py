"""The way to a service of vtryon.proto somewhere else: fields go in, fields come out, or a CallFailedError."""

from collections.abc import Iterator, Mapping
from typing import Any, Self, TypeAlias, TypeVar, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from pydantic import BaseModel, ValidationError

from shared_utils.errors import VtryonError, first_line
from shared_utils.transports.grpc.errors import CallFailedError
from shared_utils.transports.grpc.failures import error_of
from shared_utils.transports.grpc.messages import model_of, parsed, written

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]
Fields: TypeAlias = Mapping[str, Any]
ModelT = TypeVar("ModelT", bound=BaseModel)
MOST_BYTES = 64 * 1024 * 1024
"""Of an answer: a gateway tells of thousands of try-ons in one."""
RECONNECT_MS = 2000
SETTLED = (HealthCheckResponse.SERVING, HealthCheckResponse.SERVICE_UNKNOWN)


class Channel:
    """Connects when it is first used, and again whenever that is needed. Safe to be used by several threads."""

    def __init__(self, service: ServiceDescriptor, address: str, metadata: Metadata = ()) -> None:
        self._service = service
        self._address = address
        self._metadata = metadata
        options = [
            ("grpc.max_receive_message_length", MOST_BYTES),
            # gRPC itself would look only every two minutes in the end.
            ("grpc.max_reconnect_backoff_ms", RECONNECT_MS),
        ]
        self._channel = grpc.insecure_channel(address, options)

    def wait_until_ready(self, seconds: float) -> None:
        """Come back when the service says that it can be used."""
        watch: grpc.UnaryStreamMultiCallable[HealthCheckRequest, HealthCheckResponse] = self._channel.unary_stream(
            "/grpc.health.v1.Health/Watch", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
        )
        name = self._service.full_name
        told = watch(HealthCheckRequest(service=name), timeout=seconds, wait_for_ready=True)
        last = None
        try:
            last = next((each.status for each in told if each.status in SETTLED), None)
        except grpc.RpcError as failed:
            reason = error_of(cast("grpc.Call", failed))
            raise CallFailedError(
                "GRPC_UNAVAILABLE",
                f"{name} at {self._address} was not ready within {seconds:g} s ({reason}).",
                retryable=True,
            ) from None
        finally:
            told.cancel()
        if last != HealthCheckResponse.SERVING:
            raise CallFailedError("INVALID_RESPONSE", f"There is no {name} at {self._address}: something else answers.")

    def call(self, method: str, fields: Fields, timeout: float | None = None) -> dict[str, Any]:
        kind, path = self._of(method)
        do: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(path)
        try:
            content = do(written(kind.input_type, fields), timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as failed:
            raise error_of(cast("grpc.Call", failed)) from None
        return _parsed(kind, content)

    def stream(self, method: str, fields: Fields) -> Iterator[dict[str, Any]]:
        kind, path = self._of(method)
        do: grpc.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(path)
        contents = do(written(kind.input_type, fields), metadata=self._metadata)
        try:
            for content in contents:
                yield _parsed(kind, content)
        except grpc.RpcError as failed:
            raise error_of(cast("grpc.Call", failed)) from None
        finally:
            contents.cancel()

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _of(self, method: str) -> tuple[MethodDescriptor, str]:
        return self._service.methods_by_name[method], f"/{self._service.full_name}/{method}"


def read(kind: type[ModelT], fields: Fields) -> ModelT:
    """The contract that an answer's fields make."""
    try:
        return model_of(kind, fields)
    except ValidationError as wrong:
        raise _unreadable(wrong) from None


def _parsed(kind: MethodDescriptor, content: bytes) -> dict[str, Any]:
    try:
        return parsed(kind.output_type, content)
    except VtryonError as wrong:
        raise _unreadable(wrong) from None


def _unreadable(reason: Exception) -> CallFailedError:
    """What answers is of another version, or something else."""
    return CallFailedError("INVALID_RESPONSE", f"The answer can't be read: {first_line(reason)}")
