"""The body of a request for try-ons: JSON with paths, or form data with pictures."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.requests import Request

from orchestrator.gateway.core import Gateway
from orchestrator.gateway.http.multipart import Form, FormReader, Incoming
from orchestrator.gateway.intake import FIELDS, GARMENT, GARMENTS, check_count, split, unknown_field
from orchestrator.gateway.settings import GatewayConfig
from shared_utils.errors import InvalidRequestError
from shared_utils.transports.rest.errors import MediaTypeUnknownError, TooLargeError

MOST_JSON_BYTES = 1_000_000
"""It holds paths and parameters, and has to fit into Kafka's messages."""
UPLOADS = {"person": "person_image_path", "garment": GARMENT, "mask": "mask_image_path"}
"""The names of files in form data, and the fields that they fill."""


@dataclass(frozen=True)
class Wanted:
    """What was asked for."""

    fields: Mapping[str, Any]
    garments: list[str]


async def read_body(request: Request, gateway: Gateway, config: GatewayConfig) -> Wanted:
    """Uploads are kept when this comes back. Raises what the caller is to be told."""
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return _from_json(await _bounded(request))
    if kind == "multipart/form-data":
        return _from_form(await _read_form(request, content_type, gateway, config))
    raise MediaTypeUnknownError("Send application/json with paths, or multipart/form-data with pictures.")


async def _bounded(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_JSON_BYTES:
            raise TooLargeError(f"The JSON is longer than {MOST_JSON_BYTES} bytes.")
    return bytes(body)


def _from_json(body: bytes) -> Wanted:
    try:
        fields = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as wrong:
        raise InvalidRequestError(f"The body is no JSON: {wrong}.") from None
    if not isinstance(fields, dict):
        raise InvalidRequestError("The body is no JSON object.")
    return Wanted(*split(fields))


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


async def _read_form(request: Request, content_type: str, gateway: Gateway, config: GatewayConfig) -> Form:
    def begin_file(name: str, so_far: Form) -> Incoming:
        if name not in UPLOADS:
            raise InvalidRequestError(f"{name[:80]!r} is no picture of a try-on. Send {', '.join(UPLOADS)}.")
        before = len(so_far.files.get(name, ()))
        if name == "garment":
            check_count(before + 1, config)
        elif before:
            raise InvalidRequestError(f"{name} came twice.")
        return gateway.uploads.begin(name)

    def check_text(name: str, so_far: Form) -> None:
        if name not in FIELDS and name != GARMENT:
            raise InvalidRequestError(unknown_field(name))
        if name in so_far.texts:
            raise InvalidRequestError(f"{name} came twice.")

    reader = FormReader(content_type, begin_file, check_text)
    try:
        async for piece in request.stream():
            # Disks are waited for elsewhere than in the event loop.
            await asyncio.to_thread(reader.write, piece)
        return reader.close()
    finally:
        reader.give_up()


def _from_form(form: Form) -> Wanted:
    fields: dict[str, Any] = {name: text for name, text in form.texts.items() if text}  # as a browser leaves one out
    for upload in form.files:
        if UPLOADS[upload] in fields:
            raise InvalidRequestError(f"Give either the picture {upload} or {UPLOADS[upload]}.")
    fields |= {UPLOADS[upload]: paths[0] for upload, paths in form.files.items() if upload != "garment"}
    if "garment" in form.files:
        fields[GARMENTS] = form.files["garment"]
    return Wanted(*split(fields))
