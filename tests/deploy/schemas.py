"""Holds rendered objects to their schemas, strictly: an unknown field is a mistake, not something to be ignored."""

from typing import Any

import kubernetes_validate
from jsonschema import Draft202012Validator
from kubernetes_validate.utils import ValidationError

KUBERNETES = ("1.30", "1.37")
"""The oldest that has all that the manifests use, and the newest that there is a schema for."""


def wrong(thing: dict[str, Any], custom: dict[str, Any]) -> list[str]:
    """What a cluster would object to."""
    name = f"{thing['kind']} {thing['metadata']['name']}"
    schema = custom.get(f"{thing['apiVersion']} {thing['kind']}")
    if schema is None:
        return [f"{name}: {each}" for version in KUBERNETES for each in _by_kubernetes(thing, version)]
    found = Draft202012Validator(strict(schema)).iter_errors(thing)
    return [f"{name}: {'.'.join(map(str, each.absolute_path))}: {each.message}" for each in found]


def _by_kubernetes(thing: dict[str, Any], version: str) -> list[str]:
    try:
        kubernetes_validate.validate(thing, version, strict=True)
    except ValidationError as invalid:
        return [f"{version}: {'.'.join(map(str, invalid.path))}: {invalid.message}"]
    return []


def strict(schema: Any, top: bool = True) -> Any:
    """As an API server reads it, which drops or refuses what is not described."""
    if isinstance(schema, list):
        return [strict(each, False) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: {name: strict(each, False) for name, each in value.items()}
        if key == "properties"
        else strict(value, False)
        for key, value in schema.items()
        if key not in ("description", "default", "example", "enum")
    }
    if "enum" in schema:
        made["enum"] = schema["enum"]
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if top:  # an API server knows what is in an object's metadata
        made["properties"]["metadata"] = {"type": "object"}
    if "properties" in made and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made
