"""What the latent encoder may answer instead of a latent, besides what any stage may."""

from shared_utils.errors import (
    EncodingFailedError,
    ImageInvalidError,
    ImageNotFoundError,
    ScalingFailedError,
    VAEModelInvalidError,
    VAEModelNotFoundError,
)

__all__ = [
    "EncodingFailedError",
    "ImageInvalidError",
    "ImageNotFoundError",
    "ScalingFailedError",
    "VAEModelInvalidError",
    "VAEModelNotFoundError",
]
