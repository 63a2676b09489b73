"""What a request tells while Triton works on it, and the word that stops it. Nobody's work depends on it: it may get
lost."""

import json
import logging
import secrets
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared_utils.comfy.progress import Step
from shared_utils.errors import VtryonError
from shared_utils.transports.triton.client import SHORT_SECONDS, Call, TritonClient
from shared_utils.transports.triton.repository import NEWS
from shared_utils.transports.triton.wire import Value

log = logging.getLogger("vtryon.triton")

LOOK_SECONDS = 0.2
"""How often it is asked for."""
LONGEST = 100
"""Of a request's name in a call's. A name has 128 characters at most."""


@dataclass(frozen=True)
class Told:
    """A step, and the stage that told of it."""

    stage: str
    step: Step


def call_id(request_id: str) -> str:
    """Names one call for a request: what stops an earlier one of the same request must not stop the next."""
    return f"{request_id[:LONGEST]}.{secrets.token_hex(4)}"


class News:
    """Of one call, by its name."""

    def __init__(self, client: TritonClient, name: str) -> None:
        self._client = client
        self._name = name
        self._heard = 0

    def of(self, call: Call) -> Iterator[list[Told]]:
        """What is new, which may be nothing, again and again until the call has ended."""
        while not call.wait(LOOK_SECONDS):
            yield self._fresh()
        yield self._fresh()

    @contextmanager
    def stopping(self, call: Call) -> Iterator[None]:
        """Whoever leaves before the work has ended wants nothing of it any more."""
        try:
            yield
        finally:
            if call.may_go_on:
                self._ask(stop=Value.of("BOOL", True))
                call.cancel()

    def _fresh(self) -> list[Told]:
        lines = self._ask(after=Value.of("INT64", self._heard))
        self._heard += len(lines)
        return [told for line in lines if (told := _told(line)) is not None]

    def _ask(self, **inputs: Value) -> list[str]:
        request = {"request_id": Value.of("BYTES", self._name), **inputs}
        try:
            return self._client.infer(NEWS, request, ["steps"], timeout=SHORT_SECONDS)["steps"].texts()
        except (VtryonError, KeyError, ValueError) as failed:
            log.debug("no news of %s: %s", self._name, failed)
            return []


def _told(line: str) -> Told | None:
    try:
        fields = json.loads(line)
        preview = fields.get("preview")
        step = Step(
            str(fields["node"]),
            int(fields.get("done", 0)),
            int(fields.get("total", 0)),
            None if preview is None else b64decode(preview),
        )
        return Told(str(fields["stage"]), step)
    except (AttributeError, KeyError, TypeError, ValueError) as unreadable:
        log.debug("news that can't be read: %s", unreadable)
        return None
