"""A gateway as a process: all its parts together, until it is told to end."""

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from orchestrator.gateway.callbacks.webhook import Webhooks
from orchestrator.gateway.core import Gateway
from orchestrator.gateway.http.app import make_app
from orchestrator.gateway.rpc.server import RpcServer
from orchestrator.gateway.sender import Sender
from orchestrator.gateway.settings import GatewayConfig
from orchestrator.gateway.uploads import Uploads
from orchestrator.gateway.view.follower import Follower
from orchestrator.gateway.view.view import View
from shared_utils.transports.kafka.codecs import make_codec
from shared_utils.transports.rest.serving import HttpServer

log = logging.getLogger("vtryon.gateway")

SWEEP_SECONDS = 3600.0
"""How often old uploads are looked for."""


@dataclass(frozen=True)
class Running:
    """A gateway that can be called."""

    gateway: Gateway
    http_port: int
    grpc_port: int


@contextmanager
def opened_gateway(config: GatewayConfig) -> Iterator[Gateway]:
    """What every door leads to, without a door. It knows what Kafka knows once it is `ready`."""
    with ExitStack() as stack:
        codec = stack.enter_context(closing(make_codec(config)))
        view = stack.enter_context(closing(View(config.gateway_view)))
        sender = stack.enter_context(Sender(config))
        follower = Follower(config, codec, view)
        follower.start()
        stack.callback(follower.close)
        yield Gateway(config, codec, view, follower, sender)


@contextmanager
def running_gateway(config: GatewayConfig) -> Iterator[Running]:
    """It can be called inside, over HTTP and gRPC. At the end: no more calls are taken, streams end, what was sent is
    in Kafka."""
    with opened_gateway(config) as gateway, ExitStack() as stack:
        http = HttpServer(make_app(gateway, config), config.gateway_host, config.gateway_port)
        rpc = RpcServer(gateway, config)
        webhooks = Webhooks(config, gateway.codec)
        for part, stop in ((http, http.stop), (rpc, rpc.stop), (webhooks, webhooks.close)):
            part.start()
            stack.callback(stop)
        # Streams end when the follower does; whoever comes back then must not be let in again.
        stack.callback(gateway.follower.close)
        stack.callback(http.stop_accepting)
        yield Running(gateway, http.port, rpc.port)


def run_gateway(config: GatewayConfig, stopping: threading.Event) -> None:
    """Serve until `stopping` is set."""
    with running_gateway(config) as running:
        http, grpc = running.http_port, running.grpc_port
        log.info("the gateway listens on http://%s:%d and for gRPC on port %d", config.gateway_host, http, grpc)
        while True:
            _sweep(running.gateway.uploads)
            if stopping.wait(SWEEP_SECONDS):
                return


def _sweep(uploads: Uploads) -> None:
    try:
        removed = uploads.sweep()
    except OSError as denied:
        log.warning("old uploads stay where they are: %s", denied)
    else:
        log.debug("%d old uploads were removed", removed)
