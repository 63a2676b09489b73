"""Errors as HTTP tells them: problem details (RFC 9457), with the stable code in them."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from shared_utils.errors import VtryonError
from shared_utils.transports.rest.statuses import status_of

MEDIA_TYPE = "application/problem+json"

LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
RETRY_AFTER = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
RETRY_SECONDS = 5
"""What Retry-After says where the error itself does not."""


class Problem(BaseModel):
    """Why a call could not be answered."""

    model_config = ConfigDict(frozen=True)

    type: str = Field("about:blank", description="Nothing is to be read there: the code says what it is.")
    title: str = Field(description="What the status means.")
    status: int = Field(description="The status, once more.")
    detail: str = Field(description="What happened, where, and what to do.")
    code: str = Field(description="Stable: match on this one.")
    retryable: bool = Field(description="Whether the same call may succeed later.")


def problem(error: VtryonError, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a call that failed with this."""
    shown = _shown(error.code, error.message, retryable=error.retryable)
    # As ASCII: what came from outside need not be text that can be encoded.
    content = json.dumps(shown.model_dump())
    return Response(content, shown.status, {**_headers(error, shown.status), **(headers or {})}, MEDIA_TYPE)


def documented(*errors: type[VtryonError]) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of these, by status: several codes can have one."""
    by_status: dict[int, list[type[VtryonError]]] = {}
    for error in errors:
        by_status.setdefault(status_of(error.code), []).append(error)
    return {status: _documented(status, by_status[status]) for status in sorted(by_status)}


def _shown(code: str, message: str, *, retryable: bool) -> Problem:
    status = status_of(code)
    title = HTTPStatus(status).phrase
    return Problem(title=title, status=status, detail=message, code=code, retryable=retryable)


def _headers(error: VtryonError, status: int) -> dict[str, str]:
    if status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": str(error.retry_after or RETRY_SECONDS)} if status in LATER else {}


def _documented(status: int, errors: Sequence[type[VtryonError]]) -> dict[str, Any]:
    meanings = {error.code: (error.__doc__ or "").strip() for error in errors}
    examples = {
        error.code: {"value": _shown(error.code, meanings[error.code], retryable=error.retryable).model_dump()}
        for error in errors
    }
    return {
        "description": "\n\n".join(f"`{code}`: {meaning}" for code, meaning in meanings.items()),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
        **({"headers": {"Retry-After": RETRY_AFTER}} if status in LATER else {}),
    }
