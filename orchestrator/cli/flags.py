"""The fields of a try-on as flags."""

import argparse
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from orchestrator.models import TryOnRequest
from shared_utils.contracts import Request

PERSON, GARMENT, MASK = "person_image_path", "garment_image_path", "mask_image_path"
PICTURES = {PERSON: "person", GARMENT: "garment", MASK: "mask"}
FIELDS = TryOnRequest.model_fields


def add_flags(command: argparse.ArgumentParser) -> None:
    """One for each field, the pictures first and the ids last."""
    for name in sorted(FIELDS, key=lambda name: (name in Request.model_fields, name not in PICTURES)):
        several: dict[str, Any] = {"nargs": "+"} if name == GARMENT else {}
        command.add_argument(
            flag(name),
            dest=name,
            required=FIELDS[name].is_required(),
            metavar=name.rsplit("_", 1)[-1].upper(),
            help=_help(FIELDS[name]) + (" One or more." if name == GARMENT else ""),
            **several,
        )


def flag(name: str) -> str:
    return f"--{PICTURES.get(name, name).replace('_', '-')}"


def given_fields(given: argparse.Namespace) -> dict[str, Any]:
    """Those that were given, the garments left out: each of them makes a try-on."""
    fields = {name: getattr(given, name) for name in FIELDS if name != GARMENT}
    return {name: value for name, value in fields.items() if value is not None}


def _help(field: FieldInfo) -> str:
    text = (field.description or "").replace("%", "%%")
    if field.is_required():
        return f"{text} Required."
    default = field.get_default()
    return text if default in (None, PydanticUndefined, "") else f"{text} (default: {default})".replace("%", "%%")
