"""A try-on's request as it came, made complete: whatever a later attempt must find the same is settled here, once."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.config import Config
from orchestrator.models import TryOnRequest
from shared_utils.stage import parse
from shared_utils.transports.kafka.messages import CORRELATION_ID


def taken_in(fields: Mapping[str, Any], headers: Mapping[str, str], config: Config) -> TryOnRequest:
    """Raises InvalidRequestError. Both attempts at a step have one seed, and write one file."""
    correlation_id = fields.get("correlation_id") or headers.get(CORRELATION_ID)
    request = parse(TryOnRequest, config, {**fields, "correlation_id": correlation_id})
    name = correlation_id or request.request_id
    settled = {
        "correlation_id": name,
        "seed": secrets.randbits(64) if request.seed is None else request.seed,
        "output_dir": str(Path(request.output_dir).absolute()),
        "output_filename": request.output_filename or f"tryon_{name}.{request.output_format or 'png'}",
    }
    return request.model_copy(update=settled)
