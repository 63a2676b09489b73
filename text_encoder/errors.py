"""What the text encoder may answer instead of an encoding, besides what any stage may."""

from shared_utils.errors import (
    CLIPModelInvalidError,
    CLIPModelNotFoundError,
    EncodingFailedError,
    ImageInvalidError,
    ImageNotFoundError,
    ScalingFailedError,
    VAEModelInvalidError,
    VAEModelNotFoundError,
)

__all__ = [
    "CLIPModelInvalidError",
    "CLIPModelNotFoundError",
    "EncodingFailedError",
    "ImageInvalidError",
    "ImageNotFoundError",
    "ScalingFailedError",
    "VAEModelInvalidError",
    "VAEModelNotFoundError",
]
