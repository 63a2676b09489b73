"""docs/TRITON_CONFIG.md: its tables are those of the model repository, and its programs make pictures as printed."""

import argparse
import re
import subprocess
from pathlib import Path
from typing import get_args

import httpx
import pytest
from PIL import Image

from orchestrator.cli import triton
from shared_utils.transports.triton.server import TritonServer
from shared_utils.transports.triton.statuses import Status
from tests.conftest import ROOT
from tests.triton.conftest import CLIENT
from tests.triton.document import DOCUMENT, MODELS, lines, rows
from tests.triton.support import environment, write_models

TEXT = DOCUMENT.read_text(encoding="utf-8")

FAILING = """
import triton_python_backend_utils as triton


class TritonPythonModel:
    def execute(self, requests):
        (request,) = requests
        status = triton.get_input_tensor_by_name(request, "text").as_numpy()[0].decode()
        error = triton.TritonError("SOME_CODE: as it was told", getattr(triton.TritonError, status))
        return [triton.InferenceResponse(error=error)]
"""


def section(heading: str) -> str:
    found = re.search(rf"^#+ {heading}\n(.*?)(?=^#+ |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"no heading {heading!r}"
    return found[1]


def table(heading: str) -> list[str]:
    """Its rows, without the two of the head."""
    return [line for line in section(heading).splitlines() if line.startswith("|")][2:]


@pytest.mark.parametrize(("heading", "side"), [("Inputs", "input"), ("Outputs", "output")])
def test_tensors(heading: str, side: str) -> None:
    """`python -m tests.triton.document` writes the rows anew."""
    assert table(heading) == lines(side)


def test_what_is_optional() -> None:
    assert "All inputs but `request_id` of `vtryon_news` are optional." in TEXT
    needed = [(row.model, row.name) for row in rows("input") if not row.optional]
    assert needed == [("vtryon_news", "request_id")]


def test_models() -> None:
    named = [row.split("`")[1] for row in table("The models")]
    folders = {folder.parent.name for folder in (ROOT / "triton_models").glob("*/config.pbtxt")}
    assert {*named} == folders
    assert {*MODELS} < folders


def test_flags() -> None:
    named = [row.split("`")[1] for row in table("Settings")]
    assert sorted(named) == sorted(flags_of("triton", "build"))


def flags_of(*words: str) -> list[str]:
    parser = argparse.ArgumentParser()
    triton.add_commands(parser.add_subparsers())
    for word in words:
        (inner,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        parser = inner.choices[word]
    return [flag for action in parser._actions for flag in action.option_strings if flag not in ("-h", "--help")]


@pytest.mark.triton
def test_statuses_over_http(tmp_path: Path) -> None:
    rows_of_it = [[cell.strip(" `") for cell in row.split("|")[1:3]] for row in table("Errors")]
    documented = {status.replace("ARGUMENT", "ARG"): int(code) for status, code in rows_of_it}
    assert documented.keys() == {*get_args(Status), "UNAVAILABLE"}
    repository = write_models(tmp_path / "repository", {"failing": FAILING})
    settings = environment(tmp_path)
    with TritonServer(repository, tmp_path / "server", environment=settings, dies_with_parent=True) as server:
        assert {status: answered(server, status) for status in documented} == documented


def answered(server: TritonServer, text: str) -> int:
    asked = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}]}
    return httpx.post(f"http://{server.http}/v2/models/failing/infer", json=asked, timeout=60).status_code


@pytest.mark.parametrize(("protocol", "file"), [("HTTP", "over_http.png"), ("gRPC", "over_grpc.png")])
def test_clients(protocol: str, file: str, together: TritonServer, client_python: Path, tmp_path: Path) -> None:
    """With NVIDIA's own client, in an environment without vtryon. Only where the server listens is another."""
    (program,) = (block for block in programs() if f"tritonclient.{protocol.lower()}" in block)
    for printed, address in (("localhost:8000", together.http), ("localhost:8001", together.grpc)):
        program = program.replace(printed, address)
    (tmp_path / "out").mkdir()
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    ran = subprocess.run([client_python, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    with Image.open(tmp_path / "out" / file) as picture:
        picture.load()
        assert picture.width * picture.height == pytest.approx(0.25 * 1024 * 1024, rel=0.1)


def programs() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_client_is_the_one_that_is_named() -> None:
    assert f'pip install "{CLIENT}"' in TEXT
