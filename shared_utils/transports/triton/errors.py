"""What can go wrong between a program and Triton."""

from shared_utils.errors import VtryonError

__all__ = ["TritonFailedError", "TritonTimeoutError", "TritonUnavailableError"]


class TritonUnavailableError(VtryonError):
    """No Triton answers, the model is not ready, or as many requests wait for it as may."""

    code = "TRITON_UNAVAILABLE"
    retryable = True


class TritonTimeoutError(VtryonError):
    """Triton did not answer within TRITON_TIMEOUT_SECONDS."""

    code = "TRITON_TIMEOUT"
    retryable = True


class TritonFailedError(VtryonError):
    """Triton refused a request, or failed with it, for a reason that no stage gave."""

    code = "TRITON_FAILED"

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable  # type: ignore[misc]  # where a process died, the server starts anew


class StageFailedError(VtryonError):
    """A stage on Triton could not do it. Its code, its message and whether to try again are what the stage said."""

    def __init__(self, code: str, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]  # each has its own
        self.retryable = retryable  # type: ignore[misc]
