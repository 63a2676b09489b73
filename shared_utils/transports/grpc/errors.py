"""What can go wrong with gRPC itself."""

from shared_utils.errors import VtryonError


class CallFailedError(VtryonError):
    """A call ended without an answer. Its code, its message and whether to try again are what the server said."""

    def __init__(self, code: str, message: str, *, retryable: bool = False, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]  # each has its own
        self.retryable = retryable  # type: ignore[misc]
        self.retry_after = retry_after
