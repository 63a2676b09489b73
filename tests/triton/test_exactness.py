"""Every model of Triton, and the ensemble of them, against the whole workflow in one process: the same bits."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared_utils.transports.triton.client import TritonClient
from shared_utils.transports.triton.errors import StageFailedError
from shared_utils.transports.triton.server import TritonServer
from shared_utils.transports.triton.wire import Value
from tests.exactness import Case, assert_same, one_process
from tests.triton.asking import Triton

pytestmark = pytest.mark.triton
CASES = (Case(), Case(shape="landscape", pictures=3, cfg=2.5, denoise=0.6))


@pytest.fixture(params=["together", "apart"])
def triton(request: pytest.FixtureRequest, pictures: dict[str, Path]) -> Iterator[Triton]:
    server: TritonServer = request.getfixturevalue(request.param)
    with TritonClient(server.grpc) as client:
        yield Triton(client, pictures)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_model_and_the_ensemble_equal_the_monolith(
    case: Case, triton: Triton, pictures: dict[str, Path], tmp_path: Path, model_dir: Path
) -> None:
    theirs = one_process(case, pictures, tmp_path / "monolith", model_dir)
    ours = triton.step_by_step(case, tmp_path)
    assert_same(ours, theirs)
    assert len(ours["positive"][0][1]["reference_latents"]) == case.pictures
    assert triton.at_once(case).content == ours["image"].read_bytes()


def test_a_name_that_is_not_ascii_is_refused(triton: Triton) -> None:
    """Triton starts Python without a locale."""
    with pytest.raises(StageFailedError, match="only ascii") as failed:
        triton.infer("decoding", "image", latent_path=Value.of("BYTES", "ü.pt"))
    assert failed.value.code == "INVALID_REQUEST"


def test_two_at_once_are_as_one_by_one(triton: Triton) -> None:
    cases = (Case(), Case(shape="landscape", seed=8))
    alone = [triton.quickly(case) for case in cases]
    with ThreadPoolExecutor(len(cases)) as pool:
        assert list(pool.map(triton.quickly, cases)) == alone
    assert alone[0] != alone[1]
