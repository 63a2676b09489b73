"""The one table of what an error's code is for Triton, and how the code travels: at the head of the error's message."""

import re
from typing import Literal

from shared_utils.contracts import Failure

Status = Literal["CANCELLED", "INTERNAL", "INVALID_ARG", "NOT_FOUND", "UNAVAILABLE"]
"""What an error that is worth no second try is there. Triton's names; in gRPC INVALID_ARG is INVALID_ARGUMENT."""

STATUSES: dict[str, Status] = {
    "CANCELLED": "CANCELLED",
    "COMFYUI_INITIALIZATION_FAILED": "INTERNAL",
    "INTERNAL_ERROR": "INTERNAL",
}
LONGEST = 1000
"""Of a message, in bytes: gRPC's clients take errors of a few kilobytes only, in which "ü" takes six."""
# Triton puts words before it: "[request id: a] in ensemble 'b', ". Others say things like "CUDA: ", so a code is known
# by its underscore.
_HEAD = re.compile(
    r"(?:\[request id: [^\]]*\] |in ensemble '[^']*', )*([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|CANCELLED): (.*)", re.DOTALL
)


def status_of(failure: Failure) -> Status:
    if failure.retryable:
        return "UNAVAILABLE"
    if failure.error_code.endswith("_NOT_FOUND"):
        return "NOT_FOUND"
    return STATUSES.get(failure.error_code, "INVALID_ARG")


def message_of(failure: Failure) -> str:
    """What Triton is given. A file's name can hold what can't be written as text."""
    content = f"{failure.error_code}: {failure.error_message}".encode("utf-8", "replace")
    return content.decode() if len(content) <= LONGEST else f"{content[: LONGEST - 3].decode('utf-8', 'ignore')}..."


def code_and_message(said: str) -> tuple[str | None, str]:
    """The code in what Triton says, or None if it comes from Triton itself, and the rest."""
    found = _HEAD.fullmatch(said)
    return (found[1], found[2]) if found else (None, said)
