"""Who waits no more: a cancelled call, a word to vtryon_news."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from shared_utils.errors import CancelledError, VtryonError
from shared_utils.transports.triton.client import TritonClient
from shared_utils.transports.triton.news import News
from shared_utils.transports.triton.server import TritonServer
from shared_utils.transports.triton.wire import Value
from tests.exactness import Case
from tests.kafka.support import until
from tests.triton.asking import COMMON, Triton, sampler
from tests.triton.support import build, environment

pytestmark = pytest.mark.triton
CASE = Case()
ENDLESS = sampler(CASE, steps=10_000)
SOON = 300.0
"""What only a hang exceeds."""


@pytest.fixture(params=["together", "apart"])
def server(request: pytest.FixtureRequest) -> TritonServer:
    found: TritonServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def triton(server: TritonServer, pictures: dict[str, Path]) -> Iterator[Triton]:
    with TritonClient(server.grpc) as client:
        yield Triton(client, pictures)


def test_a_word_stops_a_try_on_in_the_ensemble_between_two_steps(triton: Triton) -> None:
    call = triton.client.begin("vtryon_pipeline", triton.whole(CASE) | ENDLESS, ["image"], "endless")
    news = News(triton.client, "endless")
    told = (step for steps in news.of(call) for step in steps)
    until(lambda: next(told).step.done >= 2, "the sampler's second step", SOON)
    triton.infer("vtryon_news", "steps", request_id=Value.of("BYTES", "endless"), stop=Value.of("BOOL", True))
    with pytest.raises(VtryonError) as failed:
        call.result()
    assert failed.value.code == "CANCELLED"
    assert triton.quickly(CASE).content


def test_a_call_that_is_cancelled_makes_room(triton: Triton, server: TritonServer) -> None:
    """Of a model with a process of its own: an ensemble's step goes on to its end."""
    model = "vtryon_stages" if triton.client.ready("vtryon_stages") else "sampling"
    latent = triton.infer("latent_encoder", "latent", image=triton.person(CASE), **COMMON)["latent"]
    inputs = {"latent": latent, **triton.encoded(CASE), **ENDLESS}
    call = triton.client.begin(model, inputs, ["sampled_latent"], "cancelled")
    told = (step for steps in News(triton.client, "cancelled").of(call) for step in steps)
    until(lambda: next(told).step.done >= 2, "the sampler's second step", SOON)
    call.cancel()
    with pytest.raises(CancelledError):
        call.result()
    assert triton.infer(model, "sampled_latent", **inputs | sampler(CASE))["sampled_latent"].content


def test_a_server_whose_model_has_died_ends(model_dir: Path, tmp_path: Path) -> None:
    """Triton starts no other process for it, and would go on saying that it is ready."""
    repository = build(tmp_path / "repository", "--no-warm-up")
    given = environment(model_dir)
    with TritonServer(repository, tmp_path / "server", environment=given, dies_with_parent=True) as server:
        os.kill(process_of("vtryon_stages", server), signal.SIGKILL)
        server.wait()
        assert "vtryon_stages" in server.log.read_text(errors="replace").rpartition("ERROR")[2]


def process_of(model: str, server: TritonServer) -> int:
    """The one that Triton started for the model. It is the only one that has this repository on its command line."""
    code = f"{server.repository}/{model}/1/model.py"
    (found,) = (file.parent.name for file in Path("/proc").glob("[0-9]*/cmdline") if code in _read(file))
    return int(found)


def _read(file: Path) -> str:
    with suppress(OSError):  # it has ended since
        return file.read_text(errors="replace")
    return ""
