"""The same request gives the same answer, whichever way it comes in: fields, files bit for bit, and error codes."""

import inspect
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Never

import pytest

from decoding import errors as decoding_errors
from sampling import errors as sampling_errors
from shared_utils import errors
from shared_utils.contracts import Failure, Success
from shared_utils.errors import VtryonError
from shared_utils.stage import Stage
from tests.bad_input.conftest import RETRYABLE, Good
from tests.transports_contract.cases import BAD, GOOD, Case
from tests.transports_contract.doors import HERE, Direct, Door
from tests.transports_contract.triton_door import DOORS, Triton

LONGEST_SAID = 1000
"""Of a message: gRPC carries it in a header, and shortens longer ones."""
TIMES = {"timestamp", "processing_time_ms"}


def through_every_door(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """Each case through each door that has words for it."""
    nowhere = Path("/nowhere")
    pairs = [
        pytest.param(kind.name, case, id=f"{kind.name}-{case}", marks=pytest.mark.triton if kind is Triton else ())
        for kind in DOORS
        for case in cases
        if kind.can_say(case.stage, _values(case, nowhere))
    ]
    return pytest.mark.parametrize(("door", "case"), pairs, indirect=["door"])


def _values(case: Case, folder: Path) -> dict[str, Any]:
    """As far as they need no file."""
    return case.changes(folder) if case.code in (None, "INVALID_REQUEST", "PATH_NOT_ALLOWED") else {}


Outcome = tuple[Any, dict[str, Any]]
"""The answer and the files, both without what has to differ."""


class Asking:
    """Asks the same thing through several doors, each with its own copies of the files. What the stages themselves
    say is kept."""

    def __init__(self, direct: Direct, good: Good) -> None:
        self._direct, self._good = direct, good
        self._expected: dict[Case, Outcome] = {}

    def expected(self, case: Case, folder: Path) -> Outcome:
        if case not in self._expected:
            self._expected[case] = self.through(self._direct, case, folder)
        return self._expected[case]

    def through(self, door: Door, case: Case, folder: Path) -> Outcome:
        room = folder / door.name
        room.mkdir()
        output = room / "out"
        request = {"request_id": "r1", "output_dir": str(output), **self._good.request(case.stage)}
        response = door.ask(case.stage, request | case.changes(room))
        assert isinstance(response, Success if case.code is None else Failure), response
        return _told(response, room), _files(output)


@pytest.fixture(scope="session")
def asking(direct: Direct, good: Good) -> Asking:
    return Asking(direct, good)


def _told(response: Success | Failure, room: Path) -> Any:
    told = json.loads(response.model_dump_json().replace(str(room), "ROOM"), object_hook=_without_times)
    if isinstance(response, Failure):
        told["error_message"] = told["error_message"][:LONGEST_SAID]
    return told


def _files(folder: Path) -> dict[str, Any]:
    return {file.name: _content(file) for file in folder.iterdir()} if folder.is_dir() else {}


def _content(file: Path) -> Any:
    if file.suffix == ".json":
        return json.loads(file.read_bytes(), object_hook=_without_times)
    return file.read_bytes()


def _without_times(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in TIMES}


@through_every_door(GOOD)
def test_good(door: Door, case: Case, asking: Asking, tmp_path: Path) -> None:
    response, files = asking.expected(case, tmp_path)
    assert files, "there is something to compare"
    assert asking.through(door, case, tmp_path) == (response, files)


@through_every_door(BAD)
def test_bad(door: Door, case: Case, asking: Asking, tmp_path: Path) -> None:
    expected, files = asking.expected(case, tmp_path)
    assert (expected["error_code"], files) == (case.code, {})
    failure, files = asking.through(door, case, tmp_path)
    if door.text_only:
        expected, failure = (_without_words(each) for each in (expected, failure))
    assert (failure, files) == (expected, {})


def _without_words(failure: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in failure.items() if name != "error_message"}


def kinds_of(*modules: Any) -> list[type[VtryonError]]:
    """One error of each code."""
    found = [kind for module in modules for kind in vars(module).values() if inspect.isclass(kind)]
    codes = {kind.code: kind for kind in found if issubclass(kind, VtryonError)}
    return list(codes.values())


EVERY = kinds_of(errors, sampling_errors, decoding_errors)


@pytest.mark.parametrize("door", [kind.name for kind in HERE], indirect=True)
@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.code)
def test_every_code(
    door: Door, kind: type[VtryonError], behind: dict[str, Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those too that no input gives."""

    def fail(request: Any) -> Never:
        raise kind("It says why: ünd wie.")

    monkeypatch.setattr(behind["decoding"], "run", fail)
    response = door.ask("decoding", {"request_id": "r1", "latent_path": "/nowhere"})
    assert isinstance(response, Failure)
    assert (response.error_code, response.error_message) == (kind.code, "It says why: ünd wie.")
    assert response.retryable == (kind.code in RETRYABLE)


@pytest.mark.parametrize("door", [kind.name for kind in HERE], indirect=True)
def test_a_defect(door: Door, behind: dict[str, Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(request: Any) -> Never:
        raise ZeroDivisionError("division by zero\nsecond line")

    monkeypatch.setattr(behind["decoding"], "run", fail)
    response = door.ask("decoding", {"request_id": "r1", "latent_path": "/nowhere"})
    assert isinstance(response, Failure)
    assert response.error_code == "INTERNAL_ERROR"
    assert "ZeroDivisionError" in response.error_message
    assert "second line" not in response.error_message


def test_every_code_that_input_gives_is_among_the_cases() -> None:
    """What is left is given by failing hardware, or by whoever runs the stage."""
    left = {kind.code for kind in EVERY} - {case.code for case in BAD}
    assert left == {
        "ENCODING_FAILED",
        "SAMPLING_FAILED",
        "DECODING_FAILED",
        "STORAGE_FULL",
        "OUT_OF_MEMORY",
        "CANCELLED",
        "COMFYUI_INITIALIZATION_FAILED",
        "INTERNAL_ERROR",
    }
