"""How the gateway itself is: for its page, and for whoever runs it."""

import asyncio
from enum import Enum

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from orchestrator.gateway.core import Gateway
from orchestrator.gateway.errors import GatewayNotReadyError
from orchestrator.gateway.http.info import Info, info
from orchestrator.gateway.http.metrics import Metrics
from orchestrator.gateway.http.problems import documented
from orchestrator.gateway.settings import GatewayConfig
from shared_utils.transports.rest.health import Health

TAGS: list[str | Enum] = ["gateway"]


def add_operating_routes(app: FastAPI, gateway: Gateway, config: GatewayConfig, metrics: Metrics) -> None:
    @app.get("/v1/info", tags=TAGS, summary="info", operation_id="info")
    async def show_info() -> Info:
        """What is used where a request says nothing, and what one may ask for."""
        return await asyncio.to_thread(info, gateway, config)

    @app.get("/health/live", tags=TAGS, summary="live", operation_id="live")
    async def live() -> Health:
        """Whether the process answers at all."""
        return Health(status="live")

    @app.get(
        "/health/ready",
        tags=TAGS,
        summary="ready",
        operation_id="ready",
        responses=documented(GatewayNotReadyError),
    )
    async def ready() -> Health:
        """Whether the gateway has read what Kafka knows."""
        gateway.check_ready()
        return Health(status="ready")

    @app.get(
        "/metrics",
        tags=TAGS,
        summary="metrics",
        operation_id="metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def show_metrics() -> Response:
        """What Prometheus reads."""
        return Response(await asyncio.to_thread(metrics.text), media_type=CONTENT_TYPE_LATEST)
