"""The Triton server as a process: it starts, says why it can't, and leaves nothing behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared_utils.transports.triton.server import SHARED_MEMORY, TritonServer
from shared_utils.transports.triton.wheels import TritonServerError
from tests.conftest import ROOT
from tests.kafka.support import until
from tests.triton.support import environment, write_models

ECHO = """
import os
import sys
import numpy
import pydantic
import shared_utils
import triton_python_backend_utils as triton
from numpy import array


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            text = triton.get_input_tensor_by_name(request, "text").as_numpy()[0].decode()
            found = eval(text)
            answers.append(triton.InferenceResponse([triton.Tensor("out", array([str(found).encode()], dtype=object))]))
        return answers
"""
BROKEN = """
class TritonPythonModel:
    def initialize(self, args):
        raise ValueError("the model says what is wrong")
"""
STARTER = """
import sys
from pathlib import Path
from shared_utils.transports.triton.server import TritonServer

server = TritonServer(Path(sys.argv[1]), Path(sys.argv[2]), dies_with_parent=True)
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


def make(folder: Path, **models: str) -> TritonServer:
    repository = write_models(folder / "repository", models)
    return TritonServer(
        repository, folder / "server", environment=environment(folder, OURS="42"), dies_with_parent=True
    )


def ask(server: TritonServer, text: str) -> str:
    asked = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}]}
    url = f"http://{server.http}/v2/models/echo/infer"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(asked).encode()), timeout=60) as answer:
        found: str = json.load(answer)["outputs"][0]["data"][0]
        return found


def processes(group: int) -> int:
    """How many of this group have not ended."""
    found = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group, *_ = file.read_text().rpartition(") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += int(its_group) == group and state != "Z"
    return found


def wait_for_the_end_of(group: int) -> None:
    until(lambda: not processes(group), "the server and its models have ended")


def pieces_of_memory(server: TritonServer) -> list[Path]:
    return list(SHARED_MEMORY.glob(f"{server._shared_memory}*"))


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    with make(tmp_path_factory.mktemp("echo"), echo=ECHO) as server:
        yield server


@pytest.mark.triton
def test_models_run_on_this_python(echo: TritonServer) -> None:
    assert ask(echo, "sys.version") == sys.version
    assert ask(echo, "shared_utils.__file__") == str(ROOT / "shared_utils" / "__init__.py")
    assert ask(echo, "numpy.__version__") == "1.26.4"
    assert Path(ask(echo, "pydantic.__file__")).is_relative_to(sys.prefix)


@pytest.mark.triton
def test_models_find_the_environment_that_was_given(echo: TritonServer) -> None:
    assert ask(echo, "os.environ['OURS']") == "42"
    assert ask(echo, "os.environ.get('PYTEST_CURRENT_TEST')") == "None"
    assert ask(echo, "os.getcwd()") == str(echo.data)


@pytest.mark.triton
def test_it_listens_on_this_machine_only(echo: TritonServer) -> None:
    for address in (echo.http, echo.grpc, echo.metrics):
        host, port = address.split(":")
        socket.create_connection((host, int(port)), timeout=10).close()
    with urllib.request.urlopen(f"http://{echo.metrics}/metrics", timeout=10) as answer:
        assert b'nv_inference_request_success{model="echo"' in answer.read()
    listening = {line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if " 0A " in line}
    ports = {int(address.split(":")[1]) for address in (echo.http, echo.grpc, echo.metrics)}
    assert {entry.split(":")[0] for entry in listening if int(entry.split(":")[1], 16) in ports} == {"0100007F"}


@pytest.mark.triton
@pytest.mark.parametrize("end", [TritonServer.stop, TritonServer.kill])
def test_it_leaves_nothing_behind_and_can_start_again(end: object, tmp_path: Path) -> None:
    server = make(tmp_path, echo=ECHO)
    for _ in range(2):
        server.start()
        group = server.pid
        assert ask(server, "1 + 1") == "2"
        assert processes(group) > 1
        assert pieces_of_memory(server)
        assert callable(end)
        end(server)
        wait_for_the_end_of(group)
        assert not pieces_of_memory(server)


@pytest.mark.triton
def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    repository = write_models(tmp_path / "repository", {"echo": ECHO})
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, repository, tmp_path / "server"],
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with starter:
        assert starter.stdout
        group = int(starter.stdout.readline())
        assert processes(group) > 1
        os.kill(starter.pid, signal.SIGKILL)
        wait_for_the_end_of(group)


@pytest.mark.triton
def test_a_model_that_can_not_be_loaded_is_told_of(tmp_path: Path) -> None:
    server = make(tmp_path, broken=BROKEN)
    with pytest.raises(TritonServerError, match="ended while it started") as told:
        server.start()
    assert "ValueError: the model says what is wrong" in told.value.message
    assert str(server.log) in told.value.message
    assert not server.pid
    assert not pieces_of_memory(server)


@pytest.mark.triton
def test_a_server_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    server = make(tmp_path, echo=ECHO)
    with pytest.raises(TritonServerError, match=r"was not ready within 0\.1 seconds"):
        server.start(seconds=0.1)
    assert not server.pid


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = TritonServer(tmp_path, tmp_path / "server", http_port=port)
        with pytest.raises(TritonServerError, match=re.escape(f"Port {port}, for http, can't be had")):
            server.start()
