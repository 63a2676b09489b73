"""What the view tells of try-ons, and that it does not depend on the order in which Kafka's topics are read."""

import itertools
import random
import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.gateway.models import Cursor, TryOnView
from orchestrator.gateway.view import view as module
from orchestrator.gateway.view.folding import MOST_BYTES
from orchestrator.gateway.view.heard import Begun, Heard
from orchestrator.gateway.view.view import View
from orchestrator.gateway.view.waiting import Waiting
from orchestrator.models import TryOnFailure
from orchestrator.state import StepState, TryOn
from orchestrator.workflow import request_id
from shared_utils.contracts import Progress
from shared_utils.errors import InvalidRequestError, OutputDirNotWritableError
from shared_utils.transports.kafka.topics import TRYON_PROGRESS, TRYON_RESPONSES, TRYON_STATUS
from tests.orchestrator.cli.orchestrating import BEGUN, failed, succeeded, tryon

NAME = "try-7"
PARTITION = 2


@pytest.fixture
def view() -> Iterator[View]:
    made = View()
    yield made
    made.close()


def state(offset: int, of: TryOn, at: int = 0, partition: int = PARTITION) -> Heard:
    said = of.model_dump_json().encode()
    return Heard(of.correlation_id, partition, offset, at or offset, Begun.model_validate_json(said), said)


def talk(offset: int, at: int = 0, name: str = NAME, step: str = "sampling", attempt: int = 1, **said: Any) -> Heard:
    fields = {"state": "running", "node": "KSampler", "done": offset, "total": 100, "timestamp": BEGUN} | said
    ids = {"correlation_id": name, "request_id": request_id(name, step, attempt), "step": step}
    return Heard(name, PARTITION, offset, at or offset, Progress.model_validate(ids | fields))


def asked(offset: int, name: str = NAME, at: int = 0, partition: int = PARTITION, **fields: Any) -> Heard:
    given = {"person_image_path": "/p.png", "garment_image_path": "/g.png", "request_id": "r-1"} | fields
    waiting = Waiting.of(name, given, partition, offset, at or offset)
    return Heard(name, partition, offset, at or offset, waiting)


def refusal(offset: int, name: str = NAME, request: str = "r-1") -> Heard:
    ids = {"request_id": request, "correlation_id": name, "timestamp": BEGUN}
    answer = TryOnFailure(**ids, error_code="INVALID_REQUEST", error_message="cfg is wrong.", retryable=False)
    return Heard(name, PARTITION, offset, offset, answer, answer.model_dump_json().encode())


def sampling(attempt: int = 1, **changes: Any) -> TryOn:
    """One whose sampling has been sent."""
    steps = succeeded(NAME).steps
    sent = StepState(state="sent", attempt=attempt, started=BEGUN, deadline=BEGUN)
    return tryon(NAME, steps={**{name: steps[name] for name in ("latent_encoder", "text_encoder")}, "sampling": sent})


def shown(view: View, name: str = NAME) -> TryOnView:
    found = view.get(name)
    assert found is not None
    body = view.body(name)
    assert body is not None
    assert TryOnView.model_validate_json(body) == found
    return found


def cursors(view: View, after: Cursor = Cursor(), most: int = 100) -> list[str]:  # noqa: B008  it is frozen
    return [f"{event.kind} {event.cursor}" for event in view.events(NAME, after, most)]


def test_what_is_unknown(view: View) -> None:
    assert [view.get(NAME), view.body(NAME), view.tryon(NAME), view.miniature()] == [None] * 4
    assert view.events(NAME, Cursor(), 10) == []
    assert not view.told(NAME, Cursor(5, 5))
    assert view.place(NAME) is None
    assert view.list(None, 10, None) == ([], None)
    assert view.counts() == {"waiting": 0}


def test_from_waiting_to_its_picture(view: View) -> None:
    view.take([asked(7, seed=2**64 - 1, prompt="Dress them.")])
    waiting = shown(view)
    assert (waiting.state, waiting.position, waiting.prompt) == ("waiting", 1, "Dress them.")
    assert (waiting.seed, waiting.seed_text) == (2**64 - 1, "18446744073709551615")
    assert [step.state for step in waiting.steps] == ["waiting"] * 4

    view.take([state(0, tryon(NAME))])
    running = shown(view)
    assert (running.state, running.position, view.waiting()) == ("running", None, 0)
    assert [step.state for step in running.steps] == ["running", "running", "waiting", "waiting"]

    view.take([state(1, sampling()), talk(3, done=2, total=4)])
    (*_, step, _) = shown(view).steps
    assert (step.state, step.node, step.done, step.total, step.started) == ("running", "KSampler", 2, 4, BEGUN)

    view.take([state(2, succeeded(NAME))])
    done = shown(view)
    assert (done.state, done.image_path, done.image_url) == ("succeeded", "/out/tryon.png", f"/v1/try-ons/{NAME}/image")
    assert [step.state for step in done.steps] == ["done"] * 4
    assert done.steps[0].processing_time_ms == 13_500
    assert done.steps[2].finished == BEGUN + timedelta(seconds=8)
    known = view.tryon(NAME)
    assert known is not None
    assert (known.state, known.partition, known.image_path) == ("succeeded", PARTITION, "/out/tryon.png")
    assert view.counts() == {"succeeded": 1, "waiting": 0}


def test_how_one_fails(view: View) -> None:
    view.take([state(0, failed(NAME))])
    found = shown(view)
    assert found.problem is not None
    assert (found.state, found.problem.code, found.problem.step) == ("failed", "UNET_MODEL_NOT_FOUND", "text_encoder")
    assert [step.state for step in found.steps] == ["stopped", "failed", "stopped", "stopped"]
    assert (found.steps[3].started, found.steps[3].finished) == (None, None)


def test_how_one_is_refused(view: View) -> None:
    view.take([asked(7), refusal(3)])
    found = shown(view)
    assert found.problem is not None
    assert (found.state, found.problem.code, view.waiting()) == ("refused", "INVALID_REQUEST", 0)
    (event,) = view.events(NAME, Cursor(), 10)
    assert event.last
    assert event.cursor is not None
    assert view.told(NAME, event.cursor)
    assert not view.told(NAME, Cursor())
    assert view.events(NAME, event.cursor, 10) == []


def test_one_that_was_refused_may_be_asked_for_again(view: View) -> None:
    view.take([refusal(3), asked(7)])
    assert shown(view).state == "refused"  # the same request: it has its answer
    view.take([asked(8, request_id="r-2")])
    assert shown(view).state == "waiting"
    assert view.place(NAME) == view.body(NAME)
    assert not view.told(NAME, Cursor(0, -1))
    assert [found.state for found in view.list(None, 10, None)[0]] == ["waiting"]
    view.take([state(0, tryon(NAME))])
    assert shown(view).state == "running"


STORY = [
    asked(7),
    state(10, tryon(NAME)),
    state(11, sampling(), at=12),
    state(12, sampling(attempt=2), at=14),
    talk(20, at=11, step="text_encoder", node="CLIPLoader"),
    talk(21, at=13, done=1, total=4),
    talk(22, at=15, attempt=2, done=2, total=4),
    talk(23, at=16, attempt=1, done=3, total=4),
    refusal(3, "another"),
    asked(8, "third", at=8),
]


def in_some_order(story: Sequence[Heard]) -> list[Heard]:
    """Each topic in its own order, the topics mixed."""
    topics = [
        [each for each in story if isinstance(each.news, kind)] for kind in (TryOn, Progress, TryOnFailure, Waiting)
    ]
    mixed = []
    while any(topics):
        mixed.append(random.choice([topic for topic in topics if topic]).pop(0))
    return mixed


def everything(view: View) -> list[Any]:
    names = ("another", "third", NAME)
    listed = [found.id for found in view.list(None, 10, None)[0]]
    return [view.body(name) for name in names] + listed + view.events(NAME, Cursor(), 100)


@pytest.mark.parametrize("ended", [False, True])
def test_the_order_of_the_topics_does_not_matter(view: View, ended: bool) -> None:
    story = [*STORY, state(13, succeeded(NAME), at=17)] if ended else STORY
    view.take(story)
    expected = everything(view)
    assert shown(view).steps[2].done == (1 if ended else 2)
    for _ in range(20):
        again, mixed = View(), in_some_order(story)
        for size in itertools.repeat(random.randint(1, 4)):
            again.take(mixed[:size])
            del mixed[:size]
            if not mixed:
                break
        assert everything(again) == expected
        again.close()


def test_hearing_it_again_changes_nothing(view: View) -> None:
    view.take(STORY)
    expected = everything(view)
    view.take(STORY)
    assert everything(view) == expected


def test_events_go_on_from_any_cursor(view: View) -> None:
    view.take([state(5, tryon(NAME), at=1), talk(0, at=2), talk(1, at=4), state(9, succeeded(NAME), at=3)])
    assert cursors(view) == ["status 5.-1", "progress 5.0", "progress 5.1", "status 9.1"]
    assert cursors(view, most=2) == ["status 5.-1", "progress 5.0"]
    assert cursors(view, Cursor(5, 0)) == ["progress 5.1", "status 9.1"]
    assert cursors(view, Cursor(5, 0), most=1) == ["progress 5.1"]
    assert cursors(view, Cursor(-1, 1)) == ["status 5.1", "status 9.1"]
    assert [event.last for event in view.events(NAME, Cursor(), 9)] == [False, False, False, True]
    assert not view.told(NAME, Cursor(5, 1))
    assert view.told(NAME, Cursor(9, 1))


def test_an_event_tells_what_was_then(view: View) -> None:
    view.take([state(5, tryon(NAME)), state(6, sampling()), talk(0, at=7, done=3, total=4, preview="abc")])
    first, second, third = view.events(NAME, Cursor(), 10)
    assert TryOnView.model_validate_json(first.data).steps[2].state == "waiting"
    assert TryOnView.model_validate_json(second.data).steps[2].state == "running"
    assert Progress.model_validate_json(third.data).preview == "abc"


def test_progress_is_bounded(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EVENTS", 3)
    view.take([talk(offset, preview="x" * MOST_BYTES) for offset in range(10)])
    view.take([state(0, sampling(), at=1)])
    assert cursors(view) == ["status 0.-1", "progress 0.7", "progress 0.8", "progress 0.9"]
    assert Progress.model_validate_json(view.events(NAME, Cursor(), 10)[-1].data).preview is None


def test_places_in_the_queue(view: View) -> None:
    view.take([asked(1, "b", at=20, partition=1), asked(0, "a", at=10), asked(1, "c", at=30)])
    assert [shown(view, name).position for name in "abc"] == [1, 2, 3]
    view.take([state(0, tryon("a"))])
    assert [shown(view, name).position for name in "bc"] == [1, 2]
    assert view.waiting() == 2


def test_what_this_gateway_has_sent_is_known_at_once(view: View) -> None:
    fields = {
        "correlation_id": NAME,
        "request_id": "r-1",
        "person_image_path": "/p.png",
        "garment_image_path": "/g.png",
    }
    view.submitted(fields, PARTITION, 7)
    assert shown(view).position == 1
    assert [found.id for found in view.list("waiting", 10, None)[0]] == [NAME]
    view.take([asked(7)])
    assert view.waiting() == 1
    view.take([state(0, tryon(NAME))])
    view.submitted(fields, PARTITION, 7)  # the orchestrator was faster
    assert (shown(view).state, view.waiting()) == ("running", 0)


def test_requests_that_nothing_came_of(view: View) -> None:
    view.take([asked(7), asked(8, "second")])
    assert view.waits_before(PARTITION, 8)
    assert not view.waits_before(PARTITION, 7)
    assert view.taken(PARTITION, 8) == [NAME]
    assert view.get(NAME) is None
    view.take([asked(7)])
    assert view.get(NAME) is None
    assert shown(view, "second").position == 1


def test_what_kafka_forgets(view: View) -> None:
    view.take([*STORY, state(14, succeeded("kept"))])
    view.forget_before(TRYON_PROGRESS, PARTITION, 22)
    assert cursors(view) == ["status 10.-1", "status 11.-1", "status 12.-1", "progress 12.22", "progress 12.23"]
    view.forget_before(TRYON_STATUS, PARTITION, 12)
    assert cursors(view)[0] == "status 12.-1"
    view.forget_before(TRYON_STATUS, PARTITION, 14)
    assert view.get(NAME) is None
    view.take([talk(24)])
    assert view.get(NAME) is None
    view.forget_before(TRYON_RESPONSES, PARTITION, 4)
    assert view.get("another") is None
    view.forget_before(TRYON_STATUS, PARTITION + 1, 100)
    assert shown(view, "kept").state == "succeeded"


def test_a_tombstone_takes_all_of_it(view: View) -> None:
    view.take([state(0, tryon(NAME)), talk(0), Heard(NAME, PARTITION, 1, 1, None)])
    assert view.get(NAME) is None
    assert cursors(view) == []
    view.take([state(2, succeeded(NAME))])
    view.take([Heard(NAME, PARTITION, 3, 3, None)])
    assert view.get(NAME) is None


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_of_one_name_the_later_counts(view: View, order: int) -> None:
    first = state(50, succeeded(NAME), partition=1)
    later = state(3, tryon(NAME, submitted=BEGUN + timedelta(hours=1)), partition=PARTITION)
    for each in (first, later)[::order]:
        view.take([each])
    known = view.tryon(NAME)
    assert known is not None
    assert (known.state, known.partition) == ("running", PARTITION)
    assert cursors(view) == ["status 3.-1"]


def test_pages_newest_first(view: View) -> None:
    requests = [asked(n, f"w-{n}", timestamp=(BEGUN + timedelta(minutes=2 * n)).isoformat()) for n in range(3)]
    states = []
    for n in range(3):
        of = succeeded(f"s-{n}")
        request = of.request.model_copy(update={"timestamp": BEGUN + timedelta(minutes=2 * n + 1)})
        states.append(state(n, of.model_copy(update={"request": request})))
    view.take([*requests, *states])
    found: list[str] = []
    cursor = None
    for _ in range(3):
        page, cursor = view.list(None, 2, cursor)
        found += [each.id for each in page]
    assert found == ["s-2", "w-2", "s-1", "w-1", "s-0", "w-0"]
    assert cursor is None
    assert [each.id for each in view.list("succeeded", 10, None)[0]] == ["s-2", "s-1", "s-0"]
    assert [each.position for each in view.list("waiting", 10, None)[0]] == [3, 2, 1]
    assert view.list("failed", 10, None) == ([], None)


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.", "12345678901234567890.a", "1.5e3"])
def test_a_cursor_of_somebody_elses(view: View, cursor: str) -> None:
    if cursor == "1.5e3":
        assert view.list(None, 5, cursor) == ([], None)  # any id may come
    else:
        with pytest.raises(InvalidRequestError, match="cursor="):
            view.list(None, 5, cursor)


@pytest.mark.parametrize("text", ["", "5", "5.", "-2.5", "\u0665.5", "1.1234567890123456789", "1.2\n"])
def test_an_event_id_of_somebody_elses(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="no id of an event"):
        Cursor.parse(text)


def test_a_cursor_is_read_as_it_is_written() -> None:
    for cursor in (Cursor(), Cursor(0, -1), Cursor(12, 345)):
        assert Cursor.parse(str(cursor)) == cursor


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": 5},
        {"seed": -1},
        {"timestamp": "no time"},
        {"person_image_path": None},
        {"timestamp": "0001-01-01T00:00:00+14:00"},
    ],
)
def test_a_request_that_can_not_be_used_waits_like_others(view: View, fields: dict[str, Any]) -> None:
    view.take([asked(7, at=1_700_000_000_000, **fields)])
    assert shown(view).submitted.year == 2023


def test_whether_models_are_miniatures(view: View) -> None:
    def with_metadata(offset: int, **said: Any) -> Heard:
        steps = succeeded(NAME).steps
        encoded = steps["latent_encoder"].model_copy(update={"result": {"metadata": said}})
        return state(offset, tryon(NAME, steps={"latent_encoder": encoded}))

    view.take([with_metadata(0, processing_time_ms=1)])
    assert shown(view).miniature is view.miniature() is None
    view.take([with_metadata(1, miniature=False)])
    assert shown(view).miniature is view.miniature() is False
    view.take([with_metadata(2, miniature=True)])
    assert shown(view).miniature is view.miniature() is True


def test_a_file_of_its_own_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "view.sqlite"
    for _ in range(2):
        view = View(file)
        assert view.get(NAME) is None
        view.take([state(0, tryon(NAME))])
        view.close()
    assert file.exists()


def test_one_without_a_file_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    view = View()
    assert list(tmp_path.iterdir()) == []
    for offset in range(300):  # more than the log that is written first may hold
        view.take([state(offset, succeeded(f"try-{offset}"), at=1), talk(offset, preview="x" * 20_000)])
    assert view.counts() == {"succeeded": 300, "waiting": 0}
    assert shown(view, "try-0").state == "succeeded"
    view.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_can_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputDirNotWritableError, match="GATEWAY_VIEW"):
        View(tmp_path)
