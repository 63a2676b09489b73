"""What decoding may answer instead of a picture, besides what any stage may."""

from shared_utils.errors import (
    InputTensorInvalidError,
    InputTensorMismatchError,
    InputTensorNotFoundError,
    PathNotAllowedError,
    VAEModelInvalidError,
    VAEModelNotFoundError,
    VtryonError,
)

__all__ = [
    "DecodingFailedError",
    "InputTensorInvalidError",
    "InputTensorMismatchError",
    "InputTensorNotFoundError",
    "PathNotAllowedError",
    "VAEModelInvalidError",
    "VAEModelNotFoundError",
]


class DecodingFailedError(VtryonError):
    """The VAE failed on a latent that is right in itself."""

    code = "DECODING_FAILED"
