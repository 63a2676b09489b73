"""What can go wrong, in words that a person can act on.

An error has a stable code, a message, and one bit: whether trying again can help. It knows no HTTP status and no exit
code: each transport owns that mapping.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pickle import UnpicklingError
from typing import ClassVar

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class VtryonError(Exception):
    """Anything that a caller is answered with. `code` is stable: others match on it."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    retryable: ClassVar[bool] = False
    retry_after: int | None = None
    """Seconds after which trying again makes sense, where that is known."""

    @property
    def message(self) -> str:
        return str(self)


class InternalError(VtryonError):
    """A defect of vtryon itself, or of something beneath it. The log has the traceback."""


class InvalidRequestError(VtryonError):
    """A field is missing, of the wrong type, or outside its range."""

    code = "INVALID_REQUEST"


class ImageNotFoundError(VtryonError):
    """The picture does not exist, or can't be read."""

    code = "IMAGE_NOT_FOUND"


class ImageInvalidError(VtryonError):
    """The picture is no picture, is damaged, or is too large to be decoded safely."""

    code = "IMAGE_INVALID"


class ScalingFailedError(VtryonError):
    """The picture can't be scaled to the size that was asked for."""

    code = "SCALING_FAILED"


class EncodingFailedError(VtryonError):
    """The VAE or the text encoder failed on inputs that are right each for itself."""

    code = "ENCODING_FAILED"


class InputTensorNotFoundError(VtryonError):
    """A .pt file that a step should read does not exist."""

    code = "INPUT_TENSOR_NOT_FOUND"


class InputTensorInvalidError(VtryonError):
    """A .pt file is damaged, holds something other than tensors, or tensors of the wrong structure or shape."""

    code = "INPUT_TENSOR_INVALID"


class InputTensorMismatchError(VtryonError):
    """Tensors that are right each for itself, but can't be used together, or not with this model."""

    code = "INPUT_TENSOR_MISMATCH"


class ModelNotFoundError(VtryonError):
    """No file of that name in the model folders. One subclass for each kind of model."""


class ModelInvalidError(VtryonError):
    """The model's file is damaged, or holds another kind of model. One subclass for each kind of model."""


class VAEModelNotFoundError(ModelNotFoundError):
    """The VAE's file is in none of the folders for VAEs."""

    code = "VAE_MODEL_NOT_FOUND"


class VAEModelInvalidError(ModelInvalidError):
    """The VAE's file is damaged, or holds no VAE."""

    code = "VAE_MODEL_INVALID"


class CLIPModelNotFoundError(ModelNotFoundError):
    """The text encoder's file is in none of the folders for text encoders."""

    code = "CLIP_MODEL_NOT_FOUND"


class CLIPModelInvalidError(ModelInvalidError):
    """The text encoder's file is damaged, or holds no Qwen2.5-VL text encoder."""

    code = "CLIP_MODEL_INVALID"


class UNETModelNotFoundError(ModelNotFoundError):
    """The diffusion model's file is in none of the folders for diffusion models."""

    code = "UNET_MODEL_NOT_FOUND"


class UNETModelInvalidError(ModelInvalidError):
    """The diffusion model's file is damaged, or holds no diffusion model."""

    code = "UNET_MODEL_INVALID"


class LoRAModelNotFoundError(ModelNotFoundError):
    """The LoRA's file is in none of the folders for LoRAs."""

    code = "LORA_MODEL_NOT_FOUND"


class LoRAModelInvalidError(ModelInvalidError):
    """The LoRA's file is damaged, or fits nothing in the diffusion model."""

    code = "LORA_MODEL_INVALID"


class OutputDirNotWritableError(VtryonError):
    """The output folder can't be made or written to."""

    code = "OUTPUT_DIR_NOT_WRITABLE"


class StorageFullError(VtryonError):
    """The disk, the quota or the largest permitted file is full. Space can come back."""

    code = "STORAGE_FULL"
    retryable = True


class PathNotAllowedError(VtryonError):
    """A path or a file name leads out of where files may be."""

    code = "PATH_NOT_ALLOWED"


class OutOfMemoryError(VtryonError):
    """The GPU's memory did not suffice. Another job may have had it."""

    code = "OUT_OF_MEMORY"
    retryable = True


class CancelledError(VtryonError):
    """Somebody asked for the work to stop."""

    code = "CANCELLED"


class ComfyUIInitializationError(VtryonError):
    """ComfyUI was not found, could not be fetched, or did not start."""

    code = "COMFYUI_INITIALIZATION_FAILED"


@contextmanager
def failing_as(error: type[VtryonError], doing: str) -> Iterator[None]:
    """Give whatever goes wrong inside the code of the step it happened in. What has a code already keeps it."""
    try:
        yield
    except VtryonError:
        raise
    except Exception as cause:
        if isinstance(cause, OSError) and cause.errno in NO_ROOM:
            raise StorageFullError(f"No room left while {doing}: {cause.strerror}. Free some space.") from cause
        if _is_out_of_memory(cause):
            raise OutOfMemoryError(f"Out of memory while {doing}: {first_line(cause)}") from cause
        raise error(f"Failed while {doing}: {_reason(cause)}") from cause


def _reason(cause: Exception) -> str:
    # PyTorch, when it refuses to run what a file holds, goes on to say how to run it all the same.
    if isinstance(cause, UnpicklingError) or "weights_only" in str(cause):
        return "it holds something other than tensors, of which nothing was run"
    return first_line(cause)


def first_line(cause: BaseException) -> str:
    """The first line of an exception's message: PyTorch's and ComfyUI's go on for pages."""
    return next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)


def _is_out_of_memory(cause: Exception) -> bool:
    # torch.OutOfMemoryError by its name, so that this floor needs no torch; MemoryError is the CPU's.
    return isinstance(cause, MemoryError) or type(cause).__name__ == "OutOfMemoryError"
