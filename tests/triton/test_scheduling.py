"""What `vtryon triton build` writes about instances, queues and taking turns is what Triton then does."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from shared_utils.errors import VtryonError
from shared_utils.transports.triton.client import Call, TritonClient
from shared_utils.transports.triton.config import Instances, Model, Queue, python_model
from shared_utils.transports.triton.server import TritonServer
from shared_utils.transports.triton.tensors import Tensor
from shared_utils.transports.triton.wire import Value
from tests.kafka.support import until
from tests.triton.support import environment

pytestmark = pytest.mark.triton

WORKING = """
import time
from pathlib import Path

import numpy
import triton_python_backend_utils as triton


class TritonPythonModel:
    def execute(self, requests):
        (request,) = requests
        folder = Path(triton.get_input_tensor_by_name(request, "folder").as_numpy()[0].decode())
        (folder / f"began-{request.request_id()}").touch()
        while not (folder / "go").exists():
            time.sleep(0.01)
        return [triton.InferenceResponse([triton.Tensor("out", numpy.array([b"done"], dtype=object))])]
"""
"""Works until it may go on."""


class Served:
    """A server, and who asks it."""

    def __init__(self, server: TritonServer, client: TritonClient, folder: Path) -> None:
        self._server, self._client, self._folder = server, client, folder

    def ask(self, name: str, model: str = "working") -> Call:
        return self._client.begin(model, {"folder": Value.of("BYTES", str(self._folder))}, ["out"], name)

    def waiting(self) -> int:
        """How many requests are not worked on yet, as Triton counts them."""
        metrics = httpx.get(f"http://{self._server.metrics}/metrics", timeout=30).text
        return sum(int(count) for count in re.findall(r"^nv_inference_pending_request_count{.*} (\d+)$", metrics, re.M))


@contextmanager
def serving(folder: Path, instances: Instances, queue: Queue, *models: str) -> Iterator[Served]:
    tensors = [Tensor("folder", "TYPE_STRING", (1,))], [Tensor("out", "TYPE_STRING", (1,))]
    for name in models:
        code = folder / "repository" / name / "1" / "model.py"
        code.parent.mkdir(parents=True)
        code.write_text(WORKING)
        text = python_model(Model(name, "Works until it may go on.", *tensors), instances, queue)
        (code.parent.parent / "config.pbtxt").write_text(text)
    server = TritonServer(
        folder / "repository",
        folder / "server",
        environment=environment(folder),
        arguments=["--rate-limit=execution_count"] if instances.one_at_a_time else [],
        dies_with_parent=True,
    )
    with server, TritonClient(server.grpc) as client:
        yield Served(server, client, folder)
        (folder / "go").touch()  # whatever the test found, nobody is to wait for it


def began(folder: Path) -> int:
    return len(list(folder.glob("began-*")))


def test_so_many_may_wait_and_no_more(tmp_path: Path) -> None:
    with serving(tmp_path, Instances(), Queue(most=2), "working") as served:
        calls = [served.ask("first")]
        until(lambda: began(tmp_path), "the first is worked on")
        calls += [served.ask(f"other-{number}") for number in range(4)]
        until(lambda: sum(call.done for call in calls) == 2, "two of the four others are refused")
        (tmp_path / "go").touch()
        outcomes = Counter(map(outcome, calls))
    assert outcomes == {"done": 3, "TRITON_UNAVAILABLE": 2}


def test_nobody_waits_for_longer_than_that(tmp_path: Path) -> None:
    with serving(tmp_path, Instances(), Queue(seconds=0.001), "working") as served:
        first = served.ask("first")
        until(lambda: began(tmp_path), "the first is worked on")
        second = served.ask("second")
        until(lambda: second.done or served.waiting(), "the second waits, longer than it may")
        (tmp_path / "go").touch()
        assert outcome(first) == "done"
        assert outcome(second) == "TRITON_UNAVAILABLE"
    assert began(tmp_path) == 1


def test_instances_work_side_by_side(tmp_path: Path) -> None:
    with serving(tmp_path, Instances(count=2), Queue(), "working") as served:
        calls = [served.ask(f"call-{number}") for number in range(2)]
        until(lambda: began(tmp_path) == 2, "both are worked on at once")
        (tmp_path / "go").touch()
        assert [outcome(call) for call in calls] == ["done", "done"]


def test_one_at_a_time_of_several_models(tmp_path: Path) -> None:
    with serving(tmp_path, Instances(one_at_a_time=True), Queue(), "a", "b") as served:
        calls = [served.ask(model, model) for model in ("a", "b")]
        until(lambda: began(tmp_path), "one is worked on")
        until(served.waiting, "the other waits")
        assert began(tmp_path) == 1
        (tmp_path / "go").touch()
        assert [outcome(call) for call in calls] == ["done", "done"]


def outcome(call: Call) -> str:
    try:
        (text,) = call.result()["out"].texts()
    except VtryonError as error:
        return error.code
    return text
