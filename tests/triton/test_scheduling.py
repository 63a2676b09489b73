"""What `vtryon triton build` writes about instances, queues and taking turns is what Triton then does."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared_utils.errors import VtryonError
from shared_utils.transports.triton.client import Call, TritonClient
from shared_utils.transports.triton.config import Instances, Model, Queue, python_model
from shared_utils.transports.triton.server import TritonServer
from shared_utils.transports.triton.tensors import Tensor
from shared_utils.transports.triton.wire import Value
from tests.triton.support import environment, until

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


@contextmanager
def serving(folder: Path, instances: Instances, queue: Queue, *models: str) -> Iterator[TritonClient]:
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
        yield client
        (folder / "go").touch()  # whatever the test found, nobody is to wait for it


def began(folder: Path) -> int:
    return len(list(folder.glob("began-*")))


def test_so_many_may_wait_and_no_more(tmp_path: Path) -> None:
    with serving(tmp_path, Instances(), Queue(most=2), "working") as client:
        calls = [ask(client, tmp_path, "first")]
        until(lambda: began(tmp_path), "the first is worked on")
        calls += [ask(client, tmp_path, f"other-{number}") for number in range(4)]
        until(lambda: sum(call.done for call in calls) == 2, "two of the four others are refused")
        (tmp_path / "go").touch()
        outcomes = Counter(map(outcome, calls))
    assert outcomes == {"done": 3, "TRITON_UNAVAILABLE": 2}


def test_nobody_waits_for_longer_than_that(tmp_path: Path) -> None:
    with serving(tmp_path, Instances(), Queue(seconds=0.3), "working") as client:
        first = ask(client, tmp_path, "first")
        until(lambda: began(tmp_path), "the first is worked on")
        second = ask(client, tmp_path, "second")
        second.wait(1)  # it may be refused now or when its turn comes
        (tmp_path / "go").touch()
        assert outcome(first) == "done"
        assert outcome(second) == "TRITON_UNAVAILABLE"
    assert began(tmp_path) == 1


def test_instances_work_side_by_side(tmp_path: Path) -> None:
    with serving(tmp_path, Instances(count=2), Queue(), "working") as client:
        calls = [ask(client, tmp_path, f"call-{number}") for number in range(2)]
        until(lambda: began(tmp_path) == 2, "both are worked on at once")
        (tmp_path / "go").touch()
        assert [outcome(call) for call in calls] == ["done", "done"]


def test_one_at_a_time_of_several_models(tmp_path: Path) -> None:
    with serving(tmp_path, Instances(one_at_a_time=True), Queue(), "a", "b") as client:
        calls = [ask(client, tmp_path, model, model) for model in ("a", "b")]
        until(lambda: began(tmp_path), "one is worked on")
        assert not any(call.wait(0.5) for call in calls)  # so long the other could have begun
        assert began(tmp_path) == 1
        (tmp_path / "go").touch()
        assert [outcome(call) for call in calls] == ["done", "done"]


def ask(client: TritonClient, folder: Path, name: str, model: str = "working") -> Call:
    return client.begin(model, {"folder": Value.of("BYTES", str(folder))}, ["out"], name)


def outcome(call: Call) -> str:
    try:
        (text,) = call.result()["out"].texts()
    except VtryonError as error:
        return error.code
    return text
