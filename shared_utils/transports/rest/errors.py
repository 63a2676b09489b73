"""What can go wrong with HTTP itself, before a stage or the gateway has a request in hand."""

from shared_utils.errors import VtryonError


class PathUnknownError(VtryonError):
    """Nothing is served under this path."""

    code = "PATH_UNKNOWN"


class MethodNotAllowedError(VtryonError):
    """The path is served, but not with this method."""

    code = "METHOD_NOT_ALLOWED"


class MediaTypeUnknownError(VtryonError):
    """The body is of a type that is not read here."""

    code = "MEDIA_TYPE_UNKNOWN"


class TooLargeError(VtryonError):
    """The body is larger than is read."""

    code = "REQUEST_TOO_LARGE"
