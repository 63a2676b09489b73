"""What a caller wants, made into the requests that are sent: checked, named, and with nothing in them but that."""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.gateway.addresses import check_url
from orchestrator.gateway.settings import GatewayConfig
from orchestrator.gateway.uploads import Uploads
from orchestrator.models import TryOnRequest
from shared_utils.artifacts.paths import allowed, plain_file_name
from shared_utils.contracts import Request
from shared_utils.errors import ImageNotFoundError, InvalidRequestError, PathNotAllowedError
from shared_utils.stage import parse

GARMENT = "garment_image_path"
GARMENTS = "garment_image_paths"
PICTURES = ("person_image_path", GARMENT, "mask_image_path")
FIELDS = frozenset(TryOnRequest.model_fields) - frozenset(Request.model_fields) - {GARMENT}
"""What a caller may give besides the garments; the ids and the time are the gateway's to give."""
NAMESPACE = uuid.UUID("8a4f1f3e-6a0f-5c39-9d0e-2b6f4d1c7a55")
"""Of ids made from an Idempotency-Key. Never to be changed: gateways of other versions make the same ones."""
LONGEST_KEY = 255


class Intake:
    """May look at disks and name servers, so it is no work for an event loop."""

    def __init__(self, config: GatewayConfig, uploads: Uploads) -> None:
        self._config = config
        self._uploads = uploads

    def requests(
        self, fields: Mapping[str, Any], garments: Sequence[str], idempotency: str | None, owner: str
    ) -> list[dict[str, Any]]:
        """One for each garment. The same call with the same key gives the same ids, on any gateway."""
        given = {name: value for name, value in fields.items() if value is not None}
        self._check_fields(given, garments)
        whole = [self._checked({**given, GARMENT: garment}) for garment in garments]
        if whole[0].callback_url is not None:
            check_url(self._config, whole[0].callback_url)
        bare = [request.model_dump(mode="json", include={*given, GARMENT}) for request in whole]
        times = [request.model_dump(mode="json", include={"timestamp"}) for request in whole]
        named = _ids(bare, idempotency, owner)
        return [each | ids | time for each, ids, time in zip(bare, named, times, strict=True)]

    def _check_fields(self, given: Mapping[str, Any], garments: Sequence[str]) -> None:
        unknown = sorted(set(given) - FIELDS)
        if unknown:
            raise InvalidRequestError(unknown_field(unknown[0]))
        if not garments:
            raise InvalidRequestError(f"{GARMENT} is missing.")
        check_count(len(garments), self._config)
        if len(garments) > 1 and "output_filename" in given:
            raise InvalidRequestError("output_filename is for one garment: several pictures can't have one name.")

    def _checked(self, fields: Mapping[str, Any]) -> TryOnRequest:
        request = parse(TryOnRequest, self._config, fields)
        if request.output_filename is not None:
            plain_file_name(request.output_filename)
        settled = {name: self._picture(name, path) for name in PICTURES if (path := getattr(request, name)) is not None}
        if "output_dir" in fields:
            settled["output_dir"] = self._output_dir(request.output_dir)
        return request.model_copy(update=settled)

    def _picture(self, name: str, path: str) -> str:
        file = Path(path) if self._uploads.holds(Path(path)) else self._inside(name, path)
        if not file.is_file():
            raise ImageNotFoundError(f"Image file not found: {path} ({name}).")
        return str(file)

    def _output_dir(self, path: str) -> str:
        folder = self._inside("output_dir", path)
        for ours in (self._uploads.folder, self._config.intermediate_dir.resolve()):
            if folder.is_relative_to(ours):
                raise PathNotAllowedError(f"output_dir={path!r} is a folder that vtryon keeps its own files in.")
        return str(folder)

    def _inside(self, name: str, path: str) -> Path:
        """Without storage roots nothing is: whoever can call would else read and write wherever workers can."""
        if not self._config.storage_roots:
            raise PathNotAllowedError(
                f"{name}={path!r}: this gateway takes uploads only. For paths, its STORAGE_ROOTS must name the folders "
                "that they may lie in."
            )
        return allowed(path, self._config)


def split(fields: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """The garments apart from the rest: one may be given, or a list of them."""
    rest = dict(fields)
    one, several = rest.pop(GARMENT, None), rest.pop(GARMENTS, None)
    if one is not None and several is not None:
        raise InvalidRequestError(f"Give either {GARMENT} or {GARMENTS}.")
    if one is not None:
        return rest, [one]
    if not isinstance(several, list | None):
        raise InvalidRequestError(f"{GARMENTS} is no list.")
    return rest, several or []


def check_count(garments: int, config: GatewayConfig) -> None:
    """As soon as one too many is seen."""
    if garments > config.gateway_max_garments:
        raise InvalidRequestError(
            f"At most {config.gateway_max_garments} garments can be asked for in one call (GATEWAY_MAX_GARMENTS)."
        )


def unknown_field(name: str) -> str:
    """What is wrong with it."""
    shown = repr(name) if len(name) <= 80 else f"{name[:77]!r}..."
    if name in Request.model_fields:
        return f"{name} is given by the gateway. To send a request twice and have it done once: Idempotency-Key."
    return f"{shown} is no field of a try-on. Its fields: {GARMENT}, {', '.join(sorted(FIELDS))}."


def tryon_ids(owner: str, idempotency: str, count: int) -> list[str]:
    """Those that this caller's try-ons have, whichever gateway is asked, and however often."""
    return [uuid.uuid5(NAMESPACE, json.dumps([owner, idempotency, index])).hex for index in range(count)]


def _ids(bare: Sequence[Mapping[str, Any]], idempotency: str | None, owner: str) -> list[dict[str, str]]:
    if idempotency is None:
        return [{"request_id": uuid.uuid4().hex, "correlation_id": uuid.uuid4().hex} for _ in bare]
    if not (0 < len(idempotency) <= LONGEST_KEY and idempotency.isascii() and idempotency.isprintable()):
        raise InvalidRequestError(f"An Idempotency-Key has 1 to {LONGEST_KEY} printable ASCII characters.")
    digest = hashlib.sha256(json.dumps(list(bare), sort_keys=True).encode()).hexdigest()[:32]
    names = tryon_ids(owner, idempotency, len(bare))
    return [{"request_id": digest, "correlation_id": name} for name in names]
