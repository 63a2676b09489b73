"""What can go wrong with calls that come in over a port, whatever they speak."""

from shared_utils.errors import VtryonError


class CannotListenError(VtryonError):
    """The address is another program's, not this machine's, or needs more rights."""

    code = "CANNOT_LISTEN"


class TooSlowError(VtryonError):
    """The call's content did not arrive in time."""

    code = "REQUEST_TOO_SLOW"
    retryable = True
