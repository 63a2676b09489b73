"""The gateway's HTTP: try-ons, the web page, and how the gateway itself is."""

from typing import cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match

from orchestrator.gateway.core import Gateway
from orchestrator.gateway.http.described import document_of
from orchestrator.gateway.http.metrics import Metrics
from orchestrator.gateway.http.observed import Observed
from orchestrator.gateway.http.operating import add_operating_routes
from orchestrator.gateway.http.pages import page_routes
from orchestrator.gateway.http.problems import problem
from orchestrator.gateway.http.tryons import TryOnRoutes
from orchestrator.gateway.settings import GatewayConfig
from shared_utils import __version__
from shared_utils.contracts import invalid_request
from shared_utils.errors import VtryonError
from shared_utils.transports.rest.errors import MethodNotAllowedError, PathUnknownError
from shared_utils.transports.rest.limits import Bounded

FORM_BYTES = 1_000_000
"""What the fields besides the pictures may take."""
METHOD_NOT_ALLOWED = 405


def make_app(gateway: Gateway, config: GatewayConfig) -> FastAPI:
    metrics = Metrics(gateway)
    app = FastAPI(
        title="vtryon",
        version=__version__,
        description="Virtual try-on: a photo of a person with the area to dress painted green, a photo of a garment, "
        "and back comes the person wearing it.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # they load what they show from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    TryOnRoutes(gateway, config, metrics).add_to(app)
    add_operating_routes(app, gateway, config, metrics)
    app.router.routes.extend(page_routes())
    app.openapi = document_of(app, key_needed=gateway.keys.needed)  # type: ignore[method-assign]  # as FastAPI tells one to

    app.add_exception_handler(VtryonError, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _not_here)
    app.add_exception_handler(ClientDisconnect, _gone)

    # From the inside to the outside.
    app.add_middleware(
        Bounded,
        max_bytes=int(config.gateway_max_upload_mb * 1e6) + FORM_BYTES,
        seconds=config.gateway_upload_seconds,
        refuse=problem,
    )
    app.add_middleware(Observed, metrics=metrics)
    if config.gateway_cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=config.gateway_cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
            expose_headers=["Location", "Retry-After"],
        )
    return app


async def _failed(request: Request, failed: Exception) -> Response:
    return problem(cast(VtryonError, failed))


async def _invalid(request: Request, wrong: Exception) -> Response:
    # Its errors are pydantic's.
    return problem(invalid_request(cast(ValidationError, wrong)))


async def _not_here(request: Request, wrong: Exception) -> Response:
    if cast(HTTPException, wrong).status_code == METHOD_NOT_ALLOWED:
        # Those of all routes of this path; the error has the first one's only.
        fitting = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
        allowed = ", ".join(sorted(method for route in fitting for method in route.methods))
        return problem(MethodNotAllowedError(f"{request.method} is not answered here: {allowed}."), {"Allow": allowed})
    return problem(PathUnknownError("Nothing is served under this path. /openapi.json says what is."))


async def _gone(request: Request, gone: Exception) -> Response:
    """Nobody is there to read it."""
    return Response(status_code=400)
