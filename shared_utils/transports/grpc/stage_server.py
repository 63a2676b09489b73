"""A stage behind gRPC: one job at a time, with a bounded queue in front."""

import asyncio
import time
from types import TracebackType
from typing import Self

from shared_utils.contracts import Failure, Success
from shared_utils.stage import Stage
from shared_utils.transports.grpc.generated.vtryon_pb2 import DESCRIPTOR
from shared_utils.transports.grpc.server import GrpcServer, Limits
from shared_utils.transports.grpc.services import Call
from shared_utils.transports.grpc.settings import GrpcSettings
from shared_utils.turns import Turns

MESSAGE_SECONDS = 30.0
"""A request is paths and parameters: it must have arrived by then."""


class StageServer:
    """Listens from the start; what is asked before the stage is warm waits its turn."""

    def __init__(self, stage: Stage, settings: GrpcSettings) -> None:
        self.turns = Turns(stage, settings.grpc_queue)
        self._drain_seconds = settings.grpc_drain_seconds
        service = DESCRIPTOR.services_by_name[stage.name.title().replace("_", "")]
        self._server = GrpcServer(
            service,
            {stage.verb.title(): self._answer},
            (settings.grpc_host, settings.grpc_port),
            # Those that find no place in the queue are to be told so.
            Limits(int(settings.grpc_max_message_mb * 1e6), MESSAGE_SECONDS, settings.grpc_queue + 100),
        )

    @property
    def port(self) -> int:
        return self._server.port

    def __enter__(self) -> Self:
        try:
            self._server.start()
        except BaseException:
            self.turns.close()
            raise
        self.turns.warm.add_done_callback(lambda warm: None if warm.exception() else self._server.set_serving())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.turns.end()
        self._server.stop(self._drain_seconds)
        self.turns.close()

    async def _answer(self, call: Call) -> Success | Failure:
        fields, left = await call.fields(), call.seconds_left
        turn = self.turns.ask(fields, None if left is None else time.monotonic() + left)
        try:
            return await asyncio.wrap_future(turn.answer)
        except asyncio.CancelledError:
            turn.give_up()
            raise
