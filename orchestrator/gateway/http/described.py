"""What OpenAPI says, where FastAPI can't know it: requests in the two forms they can have, events, and errors."""

from collections.abc import Callable
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from orchestrator.gateway.http.bodies import UPLOADS
from orchestrator.gateway.http.problems import Problem
from orchestrator.gateway.intake import FIELDS, GARMENT, GARMENTS, LONGEST_KEY
from orchestrator.models import TryOnRequest
from shared_utils.contracts import Progress

TEXT = {"type": "string"}

_PROPERTIES: dict[str, Any] = TryOnRequest.model_json_schema()["properties"]
_GIVEN = {name: _PROPERTIES[name] for name in _PROPERTIES if name in FIELDS}
_FILE = {"type": "string", "format": "binary"}

_JSON = {
    "type": "object",
    "description": "Pictures by their paths, one of the two with the garments. What is left out or null has a default.",
    "properties": {
        **_GIVEN,
        GARMENT: _PROPERTIES[GARMENT],
        GARMENTS: {"type": "array", "items": _PROPERTIES[GARMENT], "minItems": 1, "description": "One or several."},
    },
    "required": ["person_image_path"],
    "oneOf": [{"required": [GARMENT]}, {"required": [GARMENTS]}],
    "additionalProperties": False,
}
_FORM = {
    "type": "object",
    "description": "Pictures as files. The other fields are as in JSON; an empty one is left out.",
    "properties": {
        "person": {**_FILE, "description": _PROPERTIES["person_image_path"]["description"]},
        "garment": {"type": "array", "items": _FILE, "minItems": 1, "description": "One or several."},
        "mask": {**_FILE, "description": _PROPERTIES["mask_image_path"]["description"]},
        **{name: _GIVEN[name] for name in _GIVEN if name not in UPLOADS.values()},
    },
    "required": ["person", "garment"],
    "additionalProperties": False,
}

REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": _JSON,
            "examples": {
                "one": {
                    "value": {
                        "person_image_path": "/storage/person.png",
                        GARMENT: "/storage/garment.png",
                        "seed": 7,
                    }
                },
                "several": {
                    "value": {
                        "person_image_path": "/storage/person.png",
                        GARMENTS: ["/storage/shirt.png", "/storage/coat.png"],
                    }
                },
            },
        },
        "multipart/form-data": {"schema": _FORM},
    },
}
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Names this request: sent again with the same key, it is not done again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"},
}
EVENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "event": {"enum": ["status", "progress"]},
        "id": {"type": "string", "description": "Where to go on; not with the place of one that waits."},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {
                "oneOf": [{"$ref": "#/components/schemas/TryOnView"}, {"$ref": "#/components/schemas/Progress"}]
            },
        },
    },
    "required": ["event", "data"],
}


def document_of(app: FastAPI, *, key_needed: bool) -> Callable[[], dict[str, Any]]:
    """Makes the document of this app when it is first asked for."""

    @cache
    def document() -> dict[str, Any]:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            license_info=app.license_info,
            routes=app.routes,
        )
        _tell_of_errors(made, key_needed=key_needed)
        return made

    return document


def _tell_of_errors(document: dict[str, Any], *, key_needed: bool) -> None:
    """Those that we answer with, in place of FastAPI's own."""
    components = document["components"]
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    for model in (Problem, Progress):
        components["schemas"][model.__name__] = model.model_json_schema(mode="serialization")
    if key_needed:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        answers = operation["responses"]
        if "application/json" in answers.get("422", {}).get("content", {}):
            del answers["422"]
        if not key_needed:
            answers.pop("401", None)
        elif "401" in answers:
            operation["security"] = [{"key": []}]
