"""`--mode grpc`: a stage behind gRPC, until the process is told to end."""

import argparse
import logging
from collections.abc import Sequence

from shared_utils.comfy.one_thread import lend_this_thread
from shared_utils.errors import VtryonError
from shared_utils.signals import stopped_by_signals
from shared_utils.stage import Stage
from shared_utils.telemetry.endpoint import reachable
from shared_utils.transports.grpc.settings import GrpcSettings
from shared_utils.transports.grpc.stage_server import StageServer

log = logging.getLogger("vtryon.grpc")


def grpc_settings(stage: str, arguments: Sequence[str] | None = None) -> GrpcSettings:
    """What the flags say, else the environment."""
    parser = argparse.ArgumentParser(
        prog=f"python {stage}/main.py",
        usage="%(prog)s --mode grpc [options]",
        description="Answers requests over gRPC until SIGTERM or Ctrl-C; the one in hand is finished first.",
        epilog="All other settings come from the environment and .env: see API.md.",
        allow_abbrev=False,
    )
    parser.add_argument("--mode", choices=["grpc"], help=argparse.SUPPRESS)
    parser.add_argument("--host", metavar="HOST", help="(default: 127.0.0.1)")
    parser.add_argument("--port", metavar="PORT", help="(default: 50051)")
    given = parser.parse_args(arguments)
    return GrpcSettings.read(grpc_host=given.host, grpc_port=given.port)


def run_grpc(stage: Stage, arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 if it was told to end, 1 if it could not go on."""
    settings = grpc_settings(stage.name, arguments)
    try:
        with (
            stopped_by_signals() as stopping,
            StageServer(stage, settings) as server,
            reachable(settings, server.health, server.metrics.text),
        ):
            server.health.ends_with(stopping)
            log.info("%s listens on %s:%d", stage.name, settings.grpc_host, server.port)
            server.turns.warm.add_done_callback(lambda warm: stopping.set() if warm.exception() else None)
            lend_this_thread(stopping.wait)
            if server.turns.warm.done():
                server.turns.warm.result()
    except VtryonError as failed:
        log.error("%s: %s", failed.code, failed.message)  # noqa: TRY400  the message says it all
        return 1
    return 0
