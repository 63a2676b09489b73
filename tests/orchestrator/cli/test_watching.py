"""How a try-on's course is put together from news in any order, and what of it is shown."""

import uuid
from datetime import timedelta
from itertools import count

import pytest

from orchestrator.cli import drawing
from orchestrator.cli.drawing import Lines, described, timings, watch
from orchestrator.cli.watching import Course, Listener, read_news
from orchestrator.config import Config
from orchestrator.models import StepTiming, TryOnFailure, TryOnSuccess
from orchestrator.records import Records
from orchestrator.state import StepState, TryOn
from orchestrator.workflow import request_id
from shared_utils.contracts import Progress
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.topics import TRYON_RESPONSES
from tests.orchestrator.cli.orchestrating import BEGUN, failed, succeeded, tell, tell_progress, tryon

NAME = "try-7"


def progress(
    step: str = "sampling", state: str = "running", attempt: int = 1, done: int = 0, total: int = 0
) -> Progress:
    return Progress(
        correlation_id=NAME,
        request_id=request_id(NAME, step, attempt),
        step=step,
        state=state,
        node="KSampler",
        done=done,
        total=total,
    )


def answer(state: TryOn) -> TryOnSuccess | TryOnFailure:
    response, *_ = Records(JsonCodec(), keep_intermediates=False).end(state, 0)
    read = read_news(TRYON_RESPONSES, JsonCodec().decode(TRYON_RESPONSES, response.value or b""))
    assert isinstance(read, TryOnSuccess | TryOnFailure)
    return read


def texts(course: Course) -> list[str]:
    return [position.text for position in course.steps.values()]


def test_from_waiting_to_done() -> None:
    course = Course(NAME)
    assert texts(course) == ["waiting"] * 4
    course.hear(tryon(NAME))
    assert course.taken
    assert texts(course) == ["sent to a worker", "sent to a worker", "waiting", "waiting"]
    course.hear(progress("latent_encoder", "started").model_copy(update={"node": None}))
    course.hear(progress("text_encoder", done=1, total=4))
    assert texts(course)[:2] == ["started", "KSampler 1/4"]
    assert (course.steps["text_encoder"].done, course.steps["text_encoder"].total) == (1, 4)
    course.hear(succeeded(NAME))
    assert texts(course) == ["done"] * 4
    assert course.steps["sampling"].seconds == 8
    assert course.answer is None
    course.hear(answer(succeeded(NAME)))
    assert isinstance(course.answer, TryOnSuccess)


def test_what_comes_late_changes_nothing() -> None:
    course = Course(NAME)
    course.hear(progress())
    assert texts(course)[2] == "KSampler"
    course.hear(tryon(NAME, steps={"sampling": tryon(NAME).steps["text_encoder"]}))
    assert texts(course)[2] == "KSampler"
    course.hear(succeeded(NAME))
    course.hear(progress())
    course.hear(tryon(NAME))
    assert texts(course) == ["done"] * 4


def test_a_second_attempt_is_called_so() -> None:
    course = Course(NAME)
    course.hear(tryon(NAME))
    again = StepState(state="sent", attempt=2, started=BEGUN, deadline=BEGUN)
    course.hear(tryon(NAME, steps={"sampling": again}))
    assert texts(course)[2] == "attempt 2: sent to a worker"
    course.hear(progress(attempt=1, done=3, total=4))
    assert texts(course)[2] == "attempt 2: sent to a worker"
    course.hear(progress(attempt=2, done=1, total=4))
    assert texts(course)[2] == "attempt 2: KSampler 1/4"


def test_where_it_failed_and_what_stopped_with_it() -> None:
    course = Course(NAME)
    course.hear(tryon(NAME))
    course.hear(answer(failed(NAME)))
    assert texts(course) == ["stopped", "failed", "not begun", "not begun"]


def test_a_step_of_another_version_is_passed_over() -> None:
    course = Course(NAME)
    course.hear(progress("upscaling"))
    assert texts(course) == ["waiting"] * 4


def test_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    course, lines = Course(NAME), Lines()
    lines.show(course)
    assert capsys.readouterr().err == ""
    course.hear(succeeded(NAME))
    lines.show(course)
    lines.show(course)
    shown = capsys.readouterr().err.splitlines()
    assert [line.split()[:2] for line in shown] == [[name, "done"] for name in course.steps]
    assert shown[2] == described("sampling", course.steps["sampling"])
    assert shown[2].endswith("8.0 s")


def test_timings_say_who_waited_and_who_worked() -> None:
    ended = BEGUN + timedelta(seconds=12)
    found = [
        StepTiming(step="sampling", attempts=2, started=BEGUN, finished=ended, processing_time_ms=9_500),
        StepTiming(step="decoding", attempts=1, started=ended, finished=ended + timedelta(seconds=1)),
    ]
    head, sampling, decoding, whole = timings(found).splitlines()
    assert head.split() == ["step", "attempts", "waited", "worked", "together"]
    assert sampling.split() == ["sampling", "2", "2.5", "s", "9.5", "s", "12.0", "s"]
    assert decoding.split() == ["decoding", "1", "0.0", "s", "1.0", "s", "1.0", "s"]
    assert whole.split() == ["all", "13.0", "s"]
    assert {len(line) for line in (head, sampling, decoding, whole)} == {len(head)}


def test_only_this_try_on_from_its_sending_to_its_end(config: Config, codec: JsonCodec) -> None:
    name, other = f"try-{uuid.uuid4()}", f"try-{uuid.uuid4()}"
    tell(config, tryon(name, state="cancelled"))  # before: not heard of
    with Listener(config, codec, name) as listener:
        tell(config, succeeded(other))
        step = request_id(name, "sampling", 1)
        tell_progress(config, correlation_id=name, request_id=step, step="sampling", state="running", node="KSampler")
        tell(config, succeeded(name))
        course = Course(name)
        ended = watch(listener, course)
    assert isinstance(ended, TryOnSuccess)
    assert (ended.correlation_id, ended.image_path) == (name, "/out/tryon.png")
    assert texts(course) == ["done"] * 4


def test_nobody_takes_it(
    config: Config, codec: JsonCodec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drawing, "PATIENCE_SECONDS", 0)
    name = f"try-{uuid.uuid4()}"
    with Listener(config, codec, name) as listener:
        calls = count()

        def meanwhile() -> None:
            if next(calls) == 2:
                tell(config, failed(name))

        assert isinstance(watch(listener, Course(name), meanwhile), TryOnFailure)
    assert capsys.readouterr().err.count("No orchestrator has taken it yet") == 1
