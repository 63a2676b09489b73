"""From tensors to tensors through a stage that does what a test says, without a server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared_utils.artifacts.paths import output_folder
from shared_utils.comfy.progress import Step, tell
from shared_utils.contracts import Failure, LocalPath, OutputOptions, Request, Success
from shared_utils.errors import ImageInvalidError, OutOfMemoryError
from shared_utils.settings import Settings
from shared_utils.transports.triton.arrays import Array, Arrays, texts
from shared_utils.transports.triton.hosted import Asked, Hosted
from shared_utils.transports.triton.news_folder import NewsFolder


class IroningRequest(OutputOptions, Request):
    image_path: LocalPath


class IroningResponse(Success):
    image_path: str


class Memory:
    recovered = 0

    def recover(self) -> None:
        self.recovered += 1


class Ironing:
    """Copies the picture."""

    verb, request_type, response_type = "iron", IroningRequest, IroningResponse

    def __init__(self, name: str = "ironing") -> None:
        self.name = name
        self.options = Settings()
        self.models: Any = Memory()
        self.meanwhile: Callable[[IroningRequest], None] = lambda request: None
        self.requests: list[IroningRequest] = []

    def warm_up(self) -> None:
        """Nothing to load."""

    def run(self, request: IroningRequest) -> IroningResponse:
        self.requests.append(request)
        tell(Step("Iron"))
        self.meanwhile(request)
        tell(Step("Iron", 1, 1))
        file = output_folder(request.output_dir, self.options) / f"{request.request_id}.png"
        file.write_bytes(Path(request.image_path).read_bytes())
        return IroningResponse.to(request, image_path=str(file))


@pytest.fixture
def stage() -> Ironing:
    return Ironing()


@pytest.fixture
def news(tmp_path: Path) -> NewsFolder:
    return NewsFolder(tmp_path / "news")


@pytest.fixture
def hosted(stage: Ironing, news: NewsFolder, tmp_path: Path) -> Hosted:
    (tmp_path / "private").mkdir()
    return Hosted([stage], news, tmp_path / "private")


def asked(name: str = "", *outputs: str, cancelled: bool = False, **inputs: Array) -> Asked:
    given = {"image": np.frombuffer(b"shirt", np.uint8), **inputs}
    return Asked(given, set(outputs or ("image", "ironing")), name, lambda: cancelled)


def done(answer: Arrays | Failure) -> Arrays:
    assert not isinstance(answer, Failure), answer
    return answer


def failed(answer: Arrays | Failure) -> tuple[str, str]:
    assert isinstance(answer, Failure)
    return answer.error_code, answer.error_message


def test_nothing_is_left_of_a_request_that_came_as_data(hosted: Hosted, stage: Ironing, tmp_path: Path) -> None:
    outputs = done(hosted.answer(asked("first")))
    assert outputs["image"].tobytes() == b"shirt"
    assert json.loads(outputs["ironing"][0])["request_id"] == "first"
    assert "image_path" not in json.loads(outputs["ironing"][0])
    assert list((tmp_path / "private").iterdir()) == []
    assert not Path(stage.requests[0].output_dir).exists()


def test_what_goes_to_a_folder_of_the_caller_stays(hosted: Hosted, tmp_path: Path) -> None:
    outputs = done(hosted.answer(asked("first", "ironing", output_dir=texts([str(tmp_path / "kept")]))))
    assert outputs.keys() == {"ironing"}
    path = json.loads(outputs["ironing"][0])["image_path"]
    assert path == str(tmp_path / "kept" / "first.png")
    assert Path(path).read_bytes() == b"shirt"


def test_the_id_of_the_request(hosted: Hosted, stage: Ironing) -> None:
    hosted.answer(asked("of Triton", request_id=texts(["input"])))
    hosted.answer(asked("triton", request_id=texts(["input"])))
    hosted.answer(asked("triton"))
    hosted.answer(asked("no id/"))
    *ids, made = [request.request_id for request in stage.requests]
    assert ids == ["input", "input", "triton"]
    assert len(made) == 32


@pytest.mark.parametrize(
    ("name", "given", "call"),
    [("triton", "", "triton"), ("triton", "input", "triton"), ("", "input", "input")],
)
def test_who_knows_a_name_of_it_hears_news(hosted: Hosted, news: NewsFolder, name: str, given: str, call: str) -> None:
    done(hosted.answer(asked(name, request_id=texts([given]))))
    told = [json.loads(line) for line in news.steps(call)]
    assert [(each["stage"], each["node"], each["done"]) for each in told] == [
        ("ironing", "Iron", 0),
        ("ironing", "Iron", 1),
    ]


def test_it_is_stopped_by_the_news_folder(hosted: Hosted, stage: Ironing, news: NewsFolder) -> None:
    stage.meanwhile = lambda request: news.stop("first")
    assert failed(hosted.answer(asked("first")))[0] == "CANCELLED"
    stage.meanwhile = lambda request: None
    done(hosted.answer(asked("first")))


def test_what_was_stopped_while_it_waited_does_not_begin(hosted: Hosted, stage: Ironing, news: NewsFolder) -> None:
    news.stop("first")
    assert failed(hosted.answer(asked("first")))[0] == "CANCELLED"
    assert stage.requests == []


def test_what_the_caller_cancelled_does_not_begin(hosted: Hosted, stage: Ironing) -> None:
    assert failed(hosted.answer(asked("first", cancelled=True)))[0] == "CANCELLED"
    assert stage.requests == []


def test_an_error_names_the_tensor_and_no_private_file(hosted: Hosted, stage: Ironing, tmp_path: Path) -> None:
    def refuse(request: IroningRequest) -> None:
        raise ImageInvalidError(f"{request.image_path} is no picture.")

    stage.meanwhile = refuse
    assert failed(hosted.answer(asked())) == ("IMAGE_INVALID", "image is no picture.")
    path = tmp_path / "shirt.png"
    outputs = Asked({"image_path": texts([str(path)])}, {"image"}, "", lambda: False)
    assert failed(hosted.answer(outputs)) == ("IMAGE_INVALID", f"{path} is no picture.")


def test_after_out_of_memory_memory_is_given_back(hosted: Hosted, stage: Ironing) -> None:
    def fill(request: IroningRequest) -> None:
        raise OutOfMemoryError("no room")

    stage.meanwhile = fill
    assert failed(hosted.answer(asked())) == ("OUT_OF_MEMORY", "no room")
    assert stage.models.recovered == 1
    stage.meanwhile = lambda request: None
    done(hosted.answer(asked()))
    assert stage.models.recovered == 1


def test_a_defect_is_an_answer_too(hosted: Hosted, stage: Ironing) -> None:
    def stumble(request: IroningRequest) -> None:
        stage.requests.pop(7)

    stage.meanwhile = stumble
    code, message = failed(hosted.answer(asked()))
    assert code == "INTERNAL_ERROR"
    assert message.startswith("IndexError")


def test_a_request_that_is_none(hosted: Hosted) -> None:
    wrong = Asked({}, {"image"}, "", lambda: False)
    assert failed(hosted.answer(wrong)) == ("INVALID_REQUEST", "image_path is missing.")


def test_no_room_for_what_came_as_data(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert failed(hosted.answer(asked()))[0] == "STORAGE_FULL"


class Folding(Ironing):
    class Response(Success):
        scaled_image_path: str

    response_type = Response  # type: ignore[assignment]  # a stage like the other, but for what it gives


def test_the_outputs_say_which_stage_is_meant(stage: Ironing, news: NewsFolder, tmp_path: Path) -> None:
    both = Hosted([stage, Folding("folding")], news, tmp_path)
    done(both.answer(asked("", "ironing")))
    assert len(stage.requests) == 1
    code, message = failed(both.answer(asked("", "image", "folding")))
    assert (code, message) == (
        "INVALID_REQUEST",
        "The outputs folding, image are of ironing, folding: name those of one stage in a request.",
    )
