"""What a call tells, who hears it, and how it is stopped, without a server."""

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from shared_utils.comfy.progress import Step
from shared_utils.contracts import Failure
from shared_utils.transports.triton.arrays import Arrays, texts
from shared_utils.transports.triton.news_asked import news_of
from shared_utils.transports.triton.news_folder import MOST_CALLS, NewsFolder, left, server_folder


@pytest.fixture
def news(tmp_path: Path) -> NewsFolder:
    return NewsFolder(tmp_path / "news")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def nodes(news: NewsFolder, call: str, after: int = 0) -> list[str]:
    return [json.loads(line)["node"] for line in news.steps(call, after)]


def test_what_is_told_is_heard_from_any_number_on(news: NewsFolder) -> None:
    assert news.steps("r") == []
    news.begin("r", "sampling")
    news.tell("r", "sampling", Step("KSampler", 1, 4, b"jpeg"))
    news.tell("r", "sampling", Step("KSampler", 2, 4))
    first, second = map(json.loads, news.steps("r"))
    assert first == {"stage": "sampling", "node": "KSampler", "done": 1, "total": 4, "preview": "anBlZw=="}
    assert second == {"stage": "sampling", "node": "KSampler", "done": 2, "total": 4, "preview": None}
    assert [len(news.steps("r", after)) for after in (-1, 0, 1, 2, 3)] == [2, 2, 1, 0, 0]
    assert news.steps("another") == []


def test_all_stages_of_a_call_tell_one_story(news: NewsFolder) -> None:
    for stage in ("latent_encoder", "text_encoder"):
        news.begin("r", stage)
        news.tell("r", stage, Step(stage))
    assert nodes(news, "r") == ["latent_encoder", "text_encoder"]


def test_half_a_line_is_not_heard(news: NewsFolder, tmp_path: Path) -> None:
    news.tell("r", "sampling", Step("first"))
    with (tmp_path / "news" / "r" / "steps").open("a") as lines:
        lines.write('{"stage": ')
    assert nodes(news, "r") == ["first"]


def test_a_stop_holds_for_the_stages_to_come(news: NewsFolder) -> None:
    news.begin("r", "latent_encoder")
    assert not news.is_stopped("r")
    news.stop("r")
    assert news.is_stopped("r")
    assert not news.is_stopped("another")
    news.begin("r", "text_encoder")
    assert news.is_stopped("r")


def test_a_call_can_be_stopped_before_it_begins(news: NewsFolder) -> None:
    news.stop("r")
    news.begin("r", "sampling")
    assert news.is_stopped("r")


def test_another_call_of_the_same_name_begins_anew(news: NewsFolder) -> None:
    news.begin("r", "sampling")
    news.tell("r", "sampling", Step("of the first"))
    news.stop("r")
    news.begin("r", "sampling")
    assert not news.is_stopped("r")
    news.tell("r", "sampling", Step("of the second"))
    assert nodes(news, "r") == ["of the second"]


def test_the_oldest_are_forgotten_but_not_those_that_tell(news: NewsFolder, tmp_path: Path) -> None:
    news.begin("long", "sampling")
    news.begin("short", "sampling")
    for number in range(MOST_CALLS):
        news.tell("long", "sampling", Step(f"{number}"))
        news.begin(f"r{number}", "sampling")
    assert len(news.steps("long")) == MOST_CALLS
    left = {call.name for call in (tmp_path / "news").iterdir()}
    assert len(left) == MOST_CALLS
    assert "short" not in left


def test_many_writers_leave_whole_lines(news: NewsFolder) -> None:
    def write(stage: str) -> None:
        for number in range(200):
            news.tell("r", stage, Step(f"{number}", preview=b"x" * 3000))

    writers = [threading.Thread(target=write, args=(stage,)) for stage in ("a", "b", "c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    told = [json.loads(line) for line in news.steps("r")]
    for stage in ("a", "b", "c"):
        assert [each["node"] for each in told if each["stage"] == stage] == [f"{number}" for number in range(200)]


def test_no_room_for_news_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "news").write_text("a file where the folder should be")
    news = NewsFolder(tmp_path / "news")
    news.begin("r", "sampling")
    news.tell("r", "sampling", Step("KSampler"))
    assert not news.is_stopped("r")


# ---- the folder that the processes of a server share


def test_the_folder_is_named_after_the_server_and_closed_to_others(temporary: Path) -> None:
    folder = server_folder()
    assert folder == temporary / f"vtryon-triton-{os.getppid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert server_folder() == folder, "another process of the server finds it"


def test_a_folder_that_others_can_write_to_is_refused(temporary: Path) -> None:
    server_folder().chmod(0o770)
    with pytest.raises(PermissionError, match="Remove it, or set TMPDIR"):
        server_folder()


def test_a_link_in_its_place_is_refused(temporary: Path) -> None:
    (temporary / "elsewhere").mkdir(mode=0o700)
    (temporary / f"vtryon-triton-{os.getppid()}").symlink_to(temporary / "elsewhere")
    with pytest.raises(PermissionError):
        server_folder()


def test_the_last_to_leave_removes_it(temporary: Path) -> None:
    first, second = (server_folder() / "requests" / name for name in ("first", "second"))
    for folder in (first, second):
        (folder / "some").mkdir(parents=True)
    left(first)
    assert second.is_dir()
    left(second)
    assert list(temporary.iterdir()) == []


# ---- what vtryon_news answers


def asked(**inputs: object) -> Arrays:
    return {name: texts([value]) if isinstance(value, str) else np.array([value]) for name, value in inputs.items()}


def steps(answer: Arrays | Failure) -> list[bytes]:
    assert not isinstance(answer, Failure)
    told: list[bytes] = answer["steps"].tolist()
    return told


def test_news_by_tensors(news: NewsFolder) -> None:
    news.tell("r", "sampling", Step("first"))
    news.tell("r", "sampling", Step("second"))
    assert len(steps(news_of(news, asked(request_id="r")))) == 2
    assert b'"second"' in steps(news_of(news, asked(request_id="r", after=1)))[0]
    assert steps(news_of(news, asked(request_id="nobody"))) == []
    assert not news.is_stopped("r")


def test_a_stop_by_tensors(news: NewsFolder) -> None:
    news_of(news, asked(request_id="r", stop=False))
    assert not news.is_stopped("r")
    news_of(news, asked(request_id="r", stop=True))
    assert news.is_stopped("r")


@pytest.mark.parametrize("inputs", [{}, {"request_id": "../etc"}, {"request_id": ""}, {"request_id": 7}])
def test_a_name_that_is_none_is_refused(news: NewsFolder, tmp_path: Path, inputs: dict[str, object]) -> None:
    answer = news_of(news, asked(stop=True, **inputs))
    assert isinstance(answer, Failure)
    assert answer.error_code == "INVALID_REQUEST"
    assert not (tmp_path / "news").exists()


def test_it_needs_no_pytorch() -> None:
    import subprocess
    import sys

    code = "import sys, shared_utils.transports.triton.news_backend; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
