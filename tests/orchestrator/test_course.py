"""How a try-on's course is put together from news in any order."""

from orchestrator.course import Course, read_news
from orchestrator.models import TryOnFailure, TryOnSuccess
from orchestrator.records import Records
from orchestrator.state import StepState, TryOn
from orchestrator.workflow import request_id
from shared_utils.contracts import Progress
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.topics import TRYON_RESPONSES
from tests.orchestrator.cli.orchestrating import BEGUN, failed, succeeded, tryon

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
