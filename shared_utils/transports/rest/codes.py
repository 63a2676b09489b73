"""Which errors a stage can answer over HTTP, for its OpenAPI."""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

from shared_utils import errors
from shared_utils.errors import VtryonError
from shared_utils.ports import TooSlowError
from shared_utils.stage import Stage
from shared_utils.transports.rest.errors import MediaTypeUnknownError, TooLargeError
from shared_utils.turns import BusyError

OF_ANY_STAGE: tuple[type[VtryonError], ...] = (
    errors.InvalidRequestError,
    errors.PathNotAllowedError,
    errors.OutputDirNotWritableError,
    errors.StorageFullError,
    errors.OutOfMemoryError,
    errors.CancelledError,
    errors.ComfyUIInitializationError,
    errors.InternalError,
)
OF_HTTP: tuple[type[VtryonError], ...] = (MediaTypeUnknownError, TooLargeError, TooSlowError, BusyError)


def errors_of(stage: Stage) -> dict[str, type[VtryonError]]:
    """By code: what any stage may answer, what this one may besides, and what HTTP adds."""
    return {kind.code: kind for kind in (*OF_ANY_STAGE, *_own(stage), *OF_HTTP)}


def _own(stage: Stage) -> Iterator[type[VtryonError]]:
    """A service lists its own in errors.py, beside its contract; so does what stands for a stage elsewhere."""
    for package in dict.fromkeys(kind.__module__.rpartition(".")[0] for kind in (stage.request_type, type(stage))):
        if package and find_spec(f"{package}.errors") is not None:
            listed = import_module(f"{package}.errors")
            yield from (getattr(listed, name) for name in listed.__all__)
