"""How a call to Triton ended that did not end well, as an error of ours."""

import re

import grpc

from shared_utils.errors import CancelledError, VtryonError
from shared_utils.transports.triton.errors import (
    StageFailedError,
    TritonFailedError,
    TritonTimeoutError,
    TritonUnavailableError,
)
from shared_utils.transports.triton.statuses import code_and_message

DEAD_STUB = re.compile(r"Stub process .* is not healthy", re.DOTALL)
"""The process of a model died. Its server ends with it, to be started anew by whoever looks after it."""


def error_of(status: grpc.StatusCode, words: str, address: str, seconds: float) -> VtryonError:
    """What a status says, and the words that came with it, after a call that might take so many seconds."""
    code, message = code_and_message(words)
    if code is not None:
        return StageFailedError(code, message, retryable=status is grpc.StatusCode.UNAVAILABLE)
    match status:
        case grpc.StatusCode.UNAVAILABLE:
            return TritonUnavailableError(f"Triton at {address} can't take it now: {words}")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return TritonTimeoutError(
                f"Triton at {address} did not answer within {seconds:g} s (TRITON_TIMEOUT_SECONDS)."
            )
        case grpc.StatusCode.CANCELLED:
            return CancelledError("Triton was asked to stop it.")
    failure = f"Triton at {address}: {status.name}: {words}"
    return TritonFailedError(failure, retryable=DEAD_STUB.search(words) is not None)
