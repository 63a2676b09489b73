"""A stage behind gRPC: one job at a time, with a bounded queue in front."""

import asyncio
import time
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from shared_utils.contracts import Failure, Success
from shared_utils.errors import CancelledError, VtryonError
from shared_utils.measured import Measured
from shared_utils.stage import Stage, outcome_of
from shared_utils.telemetry.health import Health
from shared_utils.telemetry.metrics import StageMetrics
from shared_utils.telemetry.traces import continued
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
        self.health = Health()
        self.metrics = StageMetrics(stage.name, lambda: self.health.ready)
        self.turns = Turns(Measured(stage, self.metrics), settings.grpc_queue)
        self.metrics.watch(stage.name, lambda: self.turns.working, lambda: self.turns.waiting)
        self._stage = stage.name
        self._part = self.health.part(stage.name)
        self._part.runs_in(self.turns.thread)
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
        self.turns.warm.add_done_callback(self._warmed_up)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.turns.end()
        self._server.stop(self._drain_seconds)
        self.turns.close()

    def _warmed_up(self, warm: Future[None]) -> None:
        if warm.exception() is None:
            self._server.set_serving()
            self._part.ready = True

    async def _answer(self, call: Call) -> Success | Failure:
        began = time.monotonic()
        outcome = CancelledError.code
        try:
            answered = await self._asked(call)
            outcome = outcome_of(answered)
        except VtryonError as refusal:
            outcome = refusal.code
            raise
        finally:
            self.metrics.answered(self._stage, outcome, time.monotonic() - began)
        return answered

    async def _asked(self, call: Call) -> Success | Failure:
        fields, left = await call.fields(), call.seconds_left
        with continued(call.trace):
            turn = self.turns.ask(fields, None if left is None else time.monotonic() + left)
        try:
            return await asyncio.wrap_future(turn.answer)
        except asyncio.CancelledError:
            turn.give_up()
            raise
