"""What sampling may answer instead of a latent, besides what any stage may."""

from shared_utils.errors import (
    ComfyUIInitializationError,
    InputTensorInvalidError,
    InputTensorMismatchError,
    InputTensorNotFoundError,
    LoRAModelInvalidError,
    LoRAModelNotFoundError,
    OutputDirNotWritableError,
    UNETModelInvalidError,
    UNETModelNotFoundError,
    VtryonError,
)

__all__ = [
    "ComfyUIInitializationError",
    "InputTensorInvalidError",
    "InputTensorMismatchError",
    "InputTensorNotFoundError",
    "LoRAModelInvalidError",
    "LoRAModelNotFoundError",
    "OutputDirNotWritableError",
    "SamplingFailedError",
    "UNETModelInvalidError",
    "UNETModelNotFoundError",
]


class SamplingFailedError(VtryonError):
    """The sampler failed on inputs that are right each for itself."""

    code = "SAMPLING_FAILED"
