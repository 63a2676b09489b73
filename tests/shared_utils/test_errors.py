"""Codes are stable and distinct; an unforeseen exception gets the code of the step it happened in."""

import pytest

import decoding.errors
import sampling.errors
from shared_utils import errors
from shared_utils.errors import EncodingFailedError, ImageInvalidError, OutOfMemoryError, VtryonError, failing_as


def test_the_codes_are_those_that_others_match_on() -> None:
    classes = {
        value
        for module in (errors, sampling.errors, decoding.errors)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, VtryonError)
    }
    codes = {kind.code: kind for kind in classes if "code" in vars(kind)}
    assert sorted(codes) == [
        "CANCELLED",
        "CLIP_MODEL_INVALID",
        "CLIP_MODEL_NOT_FOUND",
        "COMFYUI_INITIALIZATION_FAILED",
        "DECODING_FAILED",
        "ENCODING_FAILED",
        "IMAGE_INVALID",
        "IMAGE_NOT_FOUND",
        "INPUT_TENSOR_INVALID",
        "INPUT_TENSOR_MISMATCH",
        "INPUT_TENSOR_NOT_FOUND",
        "INTERNAL_ERROR",
        "INVALID_REQUEST",
        "LORA_MODEL_INVALID",
        "LORA_MODEL_NOT_FOUND",
        "OUTPUT_DIR_NOT_WRITABLE",
        "OUT_OF_MEMORY",
        "PATH_NOT_ALLOWED",
        "SAMPLING_FAILED",
        "SCALING_FAILED",
        "STORAGE_FULL",
        "UNET_MODEL_INVALID",
        "UNET_MODEL_NOT_FOUND",
        "VAE_MODEL_INVALID",
        "VAE_MODEL_NOT_FOUND",
    ]
    assert {code for code, kind in codes.items() if kind.retryable} == {"OUT_OF_MEMORY", "STORAGE_FULL"}


def test_an_unforeseen_exception_gets_the_code_of_its_step() -> None:
    with (
        pytest.raises(EncodingFailedError, match=r"^Failed while encoding it: the reason$") as raised,
        failing_as(EncodingFailedError, "encoding it"),
    ):
        raise RuntimeError("the reason\n  and ten more lines")
    assert isinstance(raised.value.__cause__, RuntimeError)


def test_a_code_that_is_there_stays() -> None:
    with pytest.raises(ImageInvalidError), failing_as(EncodingFailedError, "encoding it"):
        raise ImageInvalidError("the picture")


@pytest.mark.parametrize("kind", [MemoryError, type("OutOfMemoryError", (RuntimeError,), {})])
def test_out_of_memory_is_worth_another_try(kind: type[Exception]) -> None:
    with pytest.raises(OutOfMemoryError) as raised, failing_as(EncodingFailedError, "encoding it"):
        raise kind("no more")
    assert raised.value.retryable
