"""What can go wrong with a download."""

from shared_utils.errors import VtryonError


class DownloadFailedError(VtryonError):
    """A model file could not be had. Running the command again without changing anything will not help."""

    code = "MODEL_DOWNLOAD_FAILED"


class DownloadInterruptedError(DownloadFailedError):
    """The connection broke, or the server has no time: what has arrived is kept, and the next attempt goes on."""

    code = "MODEL_DOWNLOAD_INTERRUPTED"
    retryable = True

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
