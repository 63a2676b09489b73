"""A service's OpenAPI, made from its stage's models and from the tables of errors."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from shared_utils import __version__
from shared_utils.contracts import Failure
from shared_utils.errors import VtryonError
from shared_utils.stage import Stage
from shared_utils.transports.rest.codes import errors_of
from shared_utils.transports.rest.fields import MEDIA_TYPE
from shared_utils.transports.rest.health import Health
from shared_utils.transports.rest.listing import Listing
from shared_utils.transports.rest.statuses import status_of

Json = dict[str, Any]
"""A part of the document."""

COMPONENTS = "#/components/schemas/"
RETRY_AFTER: Json = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}


def document(stage: Stage) -> Json:
    """All that a client has to know, as OpenAPI 3.1."""
    response: type[BaseModel] = stage.response_type
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"vtryon: {stage.name}",
            "version": __version__,
            "description": "One step of a virtual try-on. One request is worked on at a time; a few may wait.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            f"/v1/{stage.verb}": {"post": _work(stage, response)},
            "/v1/models": _get("models", "Which models are in memory, and which files the defaults name.", Listing),
            "/health/live": _get("live", "Whether the process answers at all.", Health),
            "/health/ready": _get("ready", "Whether the models are loaded. What is asked before waits.", Health, 503),
            "/metrics": _get("metrics", "What Prometheus reads.", None),
            "/openapi.json": _get("openapi", "This document.", {"type": "object"}),
        },
        "components": {"schemas": _schemas(stage, response)},
    }


def _work(stage: Stage, response: type[BaseModel]) -> Json:
    by_status = defaultdict(list)
    for error in errors_of(stage).values():
        by_status[status_of(error.code)].append(error)
    return {
        "operationId": stage.verb,
        "summary": "Do the step. A client that goes away gives its request up.",
        "requestBody": {
            "required": True,
            "content": {
                MEDIA_TYPE: {"schema": _reference(stage.request_type), "example": _example(stage.request_type)}
            },
        },
        "responses": {
            "200": _answer("It is done.", _reference(response)),
            **{str(status): _failure(status, kinds) for status, kinds in sorted(by_status.items())},
        },
    }


def _failure(status: int, kinds: Iterable[type[VtryonError]]) -> Json:
    """What a status can mean: the codes, and an example of each."""
    meanings = {kind.code: _meaning(kind) for kind in kinds}
    schema = {
        "allOf": [_reference(Failure)],
        "properties": {"error_code": {"enum": list(meanings)}},
    }
    answer = _answer(" ".join(f"{code}: {meaning}" for code, meaning in meanings.items()), schema)
    answer["content"][MEDIA_TYPE]["examples"] = {
        kind.code: {"value": Failure(**_failed(kind)).model_dump(mode="json")} for kind in kinds
    }
    return answer | ({"headers": RETRY_AFTER} if status == 503 else {})


def _failed(kind: type[VtryonError]) -> Json:
    return {
        "request_id": "first",
        "timestamp": "2026-01-01T00:00:00Z",
        "error_code": kind.code,
        "error_message": _meaning(kind),
        "retryable": kind.retryable,
    }


def _meaning(kind: type[VtryonError]) -> str:
    return (kind.__doc__ or kind.code).splitlines()[0]


def _get(name: str, summary: str, schema: type[BaseModel] | Json | None, *besides: int) -> Json:
    """An operation that only looks. Without a schema its answer is text."""
    if schema is None:
        answer: Json = {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}
    else:
        answer = _answer("OK", schema if isinstance(schema, dict) else _reference(schema))
    statuses = {str(status): answer | {"description": "Not now."} for status in besides}
    return {"get": {"operationId": name, "summary": summary, "responses": {"200": answer, **statuses}}}


def _answer(description: str, schema: Json) -> Json:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


def _reference(model: type[BaseModel]) -> Json:
    return {"$ref": f"{COMPONENTS}{model.__name__}"}


# ---- the models


def _schemas(stage: Stage, response: type[BaseModel]) -> Json:
    schemas: Json = {}
    for model in (response, Failure, Listing, Health):
        schema = _schema_of(model, "serialization")
        schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
    return schemas | {stage.request_type.__name__: _request(stage)}


def _schema_of(model: type[BaseModel], mode: Any) -> Json:
    return model.model_json_schema(mode=mode, ref_template=f"{COMPONENTS}{{model}}")


def _request(stage: Stage) -> Json:
    """The request as this process reads it: with its defaults, and nothing that is unknown."""
    schema = _schema_of(stage.request_type, "validation")
    required = schema.get("required", [])
    for name, field in schema["properties"].items():
        if name in required:
            continue
        schema["properties"][name] = _nullable(field)
        if hasattr(stage.options, name):
            schema["properties"][name]["default"] = getattr(stage.options, name)
    return schema | {"additionalProperties": False}


def _nullable(field: Json) -> Json:
    """Null is the same as a field left out."""
    about = {name: value for name, value in field.items() if name in {"title", "description", "default", "examples"}}
    kinds = field.get("anyOf", [{name: value for name, value in field.items() if name not in about}])
    null = {"type": "null"}
    return {"anyOf": [*kinds, *([] if null in kinds else [null])], **about}


def _example(request_type: type[BaseModel]) -> Json:
    """The smallest request: what has no default, as its contract shows it."""
    required = {name: field for name, field in request_type.model_fields.items() if field.is_required()}
    return {name: (field.examples or [name])[0] for name, field in required.items()}
