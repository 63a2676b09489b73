"""Which status an error gets, and that its code is found again in what Triton makes of it."""

import pytest

from shared_utils import errors
from shared_utils.contracts import Failure
from shared_utils.errors import VtryonError
from shared_utils.transports.triton.statuses import LONGEST, Status, code_and_message, message_of, status_of


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidRequestError("x"), "INVALID_ARG"),
        (errors.ImageInvalidError("x"), "INVALID_ARG"),
        (errors.PathNotAllowedError("x"), "INVALID_ARG"),
        (errors.ImageNotFoundError("x"), "NOT_FOUND"),
        (errors.VAEModelNotFoundError("x"), "NOT_FOUND"),
        (errors.OutOfMemoryError("x"), "UNAVAILABLE"),
        (errors.StorageFullError("x"), "UNAVAILABLE"),
        (errors.CancelledError("x"), "CANCELLED"),
        (errors.InternalError("x"), "INTERNAL"),
        (errors.ComfyUIInitializationError("x"), "INTERNAL"),
    ],
)
def test_status(error: VtryonError, status: Status) -> None:
    assert status_of(Failure.of(error, "r")) == status


@pytest.mark.parametrize(
    "around", ["", "in ensemble 'sampling', ", "[request id: a b] ", "[request id: r] in ensemble 'x', "]
)
def test_the_code_is_found_again(around: str) -> None:
    failure = Failure.of(errors.OutOfMemoryError("the VAE: takes\n2 GB"), "r")
    assert code_and_message(around + message_of(failure)) == ("OUT_OF_MEMORY", "the VAE: takes\n2 GB")


@pytest.mark.parametrize(
    "said",
    [
        "Stub process 'vtryon_stages_0_0' is not healthy.",
        "in ensemble 'sampling', Stub process 'vtryon_stages_0_0' is not healthy.",
        "[request id: a] Exceeds maximum queue size",
        "CUDA: out of memory",
        "Failed to process the request(s) for model instance 'x', message: ValueError: no",
        "",
    ],
)
def test_what_triton_says_itself_has_no_code(said: str) -> None:
    assert code_and_message(said) == (None, said)


def test_the_code_of_one_word() -> None:
    assert code_and_message("in ensemble 'x', CANCELLED: Nobody waits.") == ("CANCELLED", "Nobody waits.")


def test_a_long_message_is_cut() -> None:
    message = message_of(Failure.of(errors.InvalidRequestError("ü" * 5000), "r"))
    assert len(message.encode()) <= LONGEST
    assert message.startswith("INVALID_REQUEST: üü")
    assert message.endswith("ü...")


def test_what_can_not_be_written_is_replaced() -> None:
    assert message_of(Failure.of(errors.ImageNotFoundError("no \udc80"), "r")) == "IMAGE_NOT_FOUND: no ?"
