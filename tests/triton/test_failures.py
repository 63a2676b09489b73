"""What can not be done ends with an error that has a code, whatever else goes on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared_utils.transports.triton.client import TritonClient
from shared_utils.transports.triton.errors import StageFailedError
from shared_utils.transports.triton.server import TritonServer
from shared_utils.transports.triton.wire import Value
from tests.exactness import Case
from tests.triton.asking import Triton

pytestmark = pytest.mark.triton
NO_PICTURE = Value.data(b"This is no picture.")
TIMES = 12
SOON = 300.0
"""What only a hang exceeds."""


@pytest.fixture(params=["together", "apart"])
def triton(request: pytest.FixtureRequest, pictures: dict[str, Path]) -> Iterator[Triton]:
    server: TritonServer = request.getfixturevalue(request.param)
    with TritonClient(server.grpc) as client:
        yield Triton(client, pictures)


def test_a_picture_that_two_steps_can_not_read_is_always_answered(triton: Triton) -> None:
    """Triton never answers an ensemble of which two steps fail at the same time."""
    given = triton.whole(Case()) | {"person": NO_PICTURE}

    def code(_: int) -> str:
        with pytest.raises(StageFailedError) as failed:
            triton.client.infer("vtryon_pipeline", given, ["image"], timeout=SOON)
        return failed.value.code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(code, range(TIMES))) == ["IMAGE_INVALID"] * TIMES


def test_a_later_step_that_fails_says_so(triton: Triton) -> None:
    given = triton.whole(Case()) | {"output_format": Value.of("BYTES", "gif")}
    with pytest.raises(StageFailedError, match="output_format") as failed:
        triton.client.infer("vtryon_pipeline", given, ["image"], timeout=SOON)
    assert (failed.value.code, failed.value.retryable) == ("INVALID_REQUEST", False)
