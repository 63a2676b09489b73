"""What the models of a server may take together, and what happens where that does not suffice."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared_utils.transports.triton.client import TritonClient
from shared_utils.transports.triton.errors import StageFailedError
from shared_utils.transports.triton.server import TritonServer
from shared_utils.transports.triton.wheels import TritonServerError
from tests.exactness import Case
from tests.triton.asking import COMMON, Triton
from tests.triton.support import build, environment

pytestmark = pytest.mark.triton
CASE = Case()


@contextmanager
def limited(folder: Path, model_dir: Path, gigabytes: float, *flags: str) -> Iterator[TritonServer]:
    """The stages in one process that may load so much."""
    repository = build(folder / "repository", "--memory-gb", f"{gigabytes:.9f}", *flags)
    given = environment(model_dir)
    with TritonServer(repository, folder / "server", environment=given, dies_with_parent=True) as server:
        yield server


def text_encoder(model_dir: Path) -> float:
    """Of its file, the largest of the four."""
    (file,) = (model_dir / "text_encoders").iterdir()
    return file.stat().st_size / 1e9


def test_what_exceeds_it_is_an_error_and_the_next_request_is_served(
    model_dir: Path, pictures: dict[str, Path], tmp_path: Path
) -> None:
    with (
        limited(tmp_path, model_dir, text_encoder(model_dir) * 0.5, "--no-warm-up") as server,
        TritonClient(server.grpc) as client,
    ):
        triton = Triton(client, pictures)
        for _ in range(2):
            with pytest.raises(StageFailedError, match="MODEL_MEMORY_GB") as failed:
                triton.encoded(CASE)
            assert (failed.value.code, failed.value.retryable) == ("OUT_OF_MEMORY", True)
            assert triton.infer("latent_encoder", "latent", image=triton.person(CASE), **COMMON)["latent"].content
        with pytest.raises(StageFailedError) as failed:
            triton.at_once(CASE)
        assert failed.value.code == "OUT_OF_MEMORY"
        assert client.server_ready()


def test_with_less_than_all_need_the_least_used_goes(
    model_dir: Path, pictures: dict[str, Path], tmp_path: Path, together: TritonServer
) -> None:
    """And the picture is the same."""
    with TritonClient(together.grpc) as client:
        expected = Triton(client, pictures).quickly(CASE)
    with limited(tmp_path, model_dir, text_encoder(model_dir) * 1.001) as server, TritonClient(server.grpc) as client:
        triton = Triton(client, pictures)
        assert [triton.quickly(CASE) for _ in range(2)] == [expected, expected]
        assert re.search("letting go of the text encoder", server.log.read_text(errors="replace"))


def test_a_server_that_can_not_warm_up_says_why(model_dir: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(TritonServerError, match="MODEL_MEMORY_GB"),
        limited(tmp_path, model_dir, text_encoder(model_dir) * 0.5),
    ):
        pytest.fail("it has started")
