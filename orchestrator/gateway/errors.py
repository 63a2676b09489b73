"""What can go wrong at the gateway, whichever way a caller came in."""

from shared_utils.errors import VtryonError


class TryOnUnknownError(VtryonError):
    """There is no try-on of that id, or none any more."""

    code = "TRYON_UNKNOWN"


class TryOnNotSucceededError(VtryonError):
    """The try-on has no picture: it is not done yet, or ended without one."""

    code = "TRYON_NOT_SUCCEEDED"


class TryOnEndedError(VtryonError):
    """The try-on has ended: there is nothing left to stop."""

    code = "TRYON_ENDED"


class ImageGoneError(VtryonError):
    """The try-on succeeded, but its picture is no longer where it was written."""

    code = "IMAGE_GONE"


class IdempotencyKeyReusedError(VtryonError):
    """The Idempotency-Key was sent before, with another request."""

    code = "IDEMPOTENCY_KEY_REUSED"


class UnauthorizedError(VtryonError):
    """An API key is needed, and none or a wrong one came."""

    code = "UNAUTHORIZED"


class OriginNotAllowedError(VtryonError):
    """A browser sends this for a web page that is not the gateway's own."""

    code = "ORIGIN_NOT_ALLOWED"


class LaterError(VtryonError):
    """Not now. `retry_after` says in how many seconds it is worth another try."""

    retryable = True

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimitedError(LaterError):
    """More calls came with this API key than it may make in a minute."""

    code = "RATE_LIMITED"


class TooManyWaitingError(LaterError):
    """As many try-ons wait as may."""

    code = "TOO_MANY_WAITING"


class GatewayNotReadyError(LaterError):
    """The gateway is still reading what Kafka knows."""

    code = "GATEWAY_NOT_READY"


class CallbackNotAllowedError(VtryonError):
    """The callback's address is private, or none that can be called."""

    code = "CALLBACK_NOT_ALLOWED"
