"""The methods of a service of vtryon.proto: bytes become fields, and whatever happens becomes a message or a status.

A method reads its one message itself, so that it can refuse a call before that has arrived: for gRPC it is a stream of
messages, which on the wire is the same.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NoReturn, TypeAlias, cast

import grpc
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from pydantic import BaseModel

from shared_utils.contracts import Failure
from shared_utils.errors import InternalError, InvalidRequestError, VtryonError, first_line
from shared_utils.ports import TooSlowError
from shared_utils.telemetry.traces import HEADERS
from shared_utils.transports.grpc.calls import Calls
from shared_utils.transports.grpc.failures import DETAILS, status
from shared_utils.transports.grpc.messages import parsed, written
from shared_utils.transports.grpc.statuses import status_of

log = logging.getLogger("vtryon.grpc")

Context: TypeAlias = grpc.aio.ServicerContext[bytes, bytes]


class Call:
    """One call of a method, whose message may still be on its way."""

    def __init__(self, context: Context, kind: Descriptor, seconds: float) -> None:
        self._context = context
        self._kind = kind
        self._seconds = seconds

    @property
    def seconds_left(self) -> float | None:
        """How long the caller still waits; None if for ever."""
        return self._context.time_remaining()

    def metadata(self, name: str) -> str | None:
        """What the caller sent along under this name."""
        found = next((value for key, value in self._context.invocation_metadata() or () if key == name), None)
        return found if isinstance(found, str) else None

    @property
    def trace(self) -> dict[str, str]:
        """The headers of the trace that the call belongs to."""
        return {name: value for name in HEADERS if (value := self.metadata(name)) is not None}

    async def fields(self) -> dict[str, Any]:
        """Of the message, once it is here."""
        try:
            content = await asyncio.wait_for(self._context.read(), self._seconds)
        except TimeoutError:
            raise TooSlowError(f"The message did not arrive within {self._seconds:g} s.") from None
        if not isinstance(content, bytes):
            raise InvalidRequestError("The call came without a message.")
        return parsed(self._kind, content)


Answers: TypeAlias = Callable[[Call], Awaitable[BaseModel]]
Streams: TypeAlias = Callable[[Call], AsyncIterator[BaseModel]]
"""A Failure is a status; so is what is raised."""


def handler(
    service: ServiceDescriptor, methods: Mapping[str, Answers | Streams], calls: Calls, read_seconds: float
) -> grpc.GenericRpcHandler:
    """What gRPC calls. There is a method for each of the service's."""
    made: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for method in service.methods:
        do = methods[method.name]
        if method.server_streaming:
            streamed = _streamed(method, cast(Streams, do), calls, read_seconds)
            made[method.name] = grpc.stream_stream_rpc_method_handler(streamed)
        else:
            answered = _answered(method, cast(Answers, do), calls, read_seconds)
            made[method.name] = grpc.stream_unary_rpc_method_handler(answered)
    return grpc.method_handlers_generic_handler(service.full_name, made)


def _answered(method: MethodDescriptor, answers: Answers, calls: Calls, read_seconds: float) -> Any:
    async def call(_: object, context: Context) -> bytes:
        try:
            with calls.answer():
                answer = await answers(Call(context, method.input_type, read_seconds))
        except Exception as error:
            await _refuse(context, error)
        if isinstance(answer, Failure):
            await _end(context, answer)
        return written(method.output_type, answer.model_dump())

    return call


def _streamed(method: MethodDescriptor, streams: Streams, calls: Calls, read_seconds: float) -> Any:
    async def call(_: object, context: Context) -> AsyncIterator[bytes]:
        try:
            with calls.stream():
                async for item in streams(Call(context, method.input_type, read_seconds)):
                    yield written(method.output_type, item.model_dump())
        except Exception as error:
            await _refuse(context, error)

    return call


async def _refuse(context: Context, error: Exception) -> NoReturn:
    if not isinstance(error, VtryonError):
        log.error("a defect of the transport", exc_info=error)
        error = InternalError(f"{type(error).__name__}: {first_line(error)} (the log has the details)")
    await _end(context, Failure.of(error, ""), error.retry_after)


async def _end(context: Context, failure: Failure, retry_after: int | None = None) -> NoReturn:
    found = status(failure, retry_after)
    await context.abort(status_of(failure.error_code), found.message, ((DETAILS, found.SerializeToString()),))
