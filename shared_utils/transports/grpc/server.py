"""A gRPC server in a thread beside whatever else a process does, with health and reflection."""

import asyncio
import functools
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from shared_utils.ports import CannotListenError
from shared_utils.transports.grpc.calls import Calls
from shared_utils.transports.grpc.services import Answers, Streams, handler

OTHERS = 100
"""Calls besides ours that may be under way: health and reflection."""
LAST_SECONDS = 0.1
"""For what is on its way when all is answered. Then streams are cut off."""
Health = health_pb2.HealthCheckResponse


@dataclass(frozen=True)
class Limits:
    """What a server lets in."""

    message_bytes: int
    message_seconds: float
    """A message must have arrived by then."""
    calls: int
    """Under way at once."""


class GrpcServer:
    """Serves one service. It leaves signals alone: whoever started it also stops it."""

    def __init__(
        self,
        service: ServiceDescriptor,
        methods: Mapping[str, Answers | Streams],
        address: tuple[str, int],
        limits: Limits,
    ) -> None:
        """Port 0 is any that is free; `port` says which, once it has started."""
        self.host, self.port = address
        self._service = service
        self._limits = limits
        self._calls = Calls(limits.calls)
        self._handler = handler(service, methods, self._calls, limits.message_seconds)

    def start(self) -> None:
        """Come back when it listens. It is not healthy yet: see `set_serving`."""
        _soon(self._start()).result()

    def set_serving(self) -> Future[None]:
        """Be healthy from now on. May be called from any thread."""
        return _soon(self._set(healthy=True))

    def stop(self, seconds: float = 0) -> None:
        """Take no more calls and end the streams; what is being answered may go on that long."""
        _soon(self._stop(seconds)).result()

    async def _start(self) -> None:
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", self._limits.message_bytes),
                # Without it a second server on the same port would silently get half of the calls.
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=self._limits.calls + OTHERS,
        )
        self._server.add_generic_rpc_handlers((self._handler,))
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        services = (self._service.full_name, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(services, self._server)
        await self._set(healthy=False)
        try:
            host = f"[{self.host}]" if ":" in self.host else self.host
            self.port = self._server.add_insecure_port(f"{host}:{self.port}")
        except RuntimeError:
            raise CannotListenError(
                f"Nobody can listen on {self.host}, port {self.port}: it is taken, or the address is not of this "
                "machine. Choose another one."
            ) from None
        await self._server.start()

    async def _set(self, healthy: bool) -> None:
        status = Health.SERVING if healthy else Health.NOT_SERVING
        for name in ("", self._service.full_name):
            await self._health.set(name, status)

    async def _stop(self, seconds: float) -> None:
        await self._health.enter_graceful_shutdown()
        self._calls.end()
        await self._calls.answered(seconds)
        # Once only: gRPC can hang when it is told a second time before it has stopped.
        await self._server.stop(LAST_SECONDS)


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """One for all servers of a process: gRPC serves several loops, but stumbles over it."""
    loop = asyncio.new_event_loop()
    # A daemon, so that a second Ctrl-C ends the process whatever is still being answered.
    threading.Thread(target=loop.run_forever, name="grpc", daemon=True).start()
    return loop


def _soon(work: Coroutine[Any, Any, None]) -> Future[None]:
    return asyncio.run_coroutine_threadsafe(work, _loop())
