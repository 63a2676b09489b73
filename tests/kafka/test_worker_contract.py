"""What a worker does with every kind of message, on both brokers; and where its stage runs on Triton, the same."""

import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from shared_utils.stage import Stage
from shared_utils.transports.kafka import host, topics
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.dead_letters import dead_letters, one_dead_letter, replay
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.messages import MAX_VALUE_BYTES
from tests.kafka.support import (
    Corner,
    Eyes,
    Puppet,
    Seen,
    corner,
    emptied,
    everything,
    fresh,
    in_thread,
    say,
    stopped_by_its_thread,
    unread,
    until,
)
from tests.triton.hybrid import on_triton

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Desk:
    """A puppet that serves its own topics, and what can be seen there."""

    def __init__(self, place: Corner, puppet: Puppet, folder: Path, keeps_offsets: bool) -> None:
        self.place, self.puppet, self.folder = place, puppet, folder
        self.settings = place.settings
        self._keeps_offsets = keeps_offsets
        self.eyes = Eyes(self.settings, place.responses, place.dead, topics.TRYON_PROGRESS)

    def request(self, **fields: Any) -> dict[str, Any]:
        ids = {"request_id": fresh("r"), "correlation_id": fresh("c"), "timestamp": "2026-01-01T00:00:00Z"}
        return ids | {"output_dir": str(self.folder)} | fields

    def ask(self, headers: dict[str, Any] | None = None, **fields: Any) -> Seen:
        """Send a request, and come back with the answer."""
        request = self.request(**fields)
        self.place.ask(request, headers=headers, key=request["correlation_id"])
        return self.answer(request["request_id"])

    def answer(self, request_id: str) -> Seen:
        return self.eyes.one(self.place.responses, request_id, request_id=request_id)

    def dead_letter(self, wanted: Callable[[Seen], bool]) -> Seen:
        return self.eyes.wait(lambda each: each.topic == self.place.dead and wanted(each))[0]

    def said(self, topic: str, name: str) -> list[Seen]:
        """All there is about it, once the worker has read everything."""
        if self._keeps_offsets:
            until(lambda: unread(self.settings, self.place.group, self.place.requests) == 0, "all read")
        else:
            self.ask()
        return everything(self.settings, topic, name)


@contextmanager
def in_the_worker(puppet: Puppet, folder: Path) -> Iterator[Stage]:
    yield puppet


Where = Callable[[Puppet, Path], AbstractContextManager[Stage]]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(in_the_worker, id="in the worker"),
        pytest.param(on_triton, id="on Triton", marks=pytest.mark.triton),
    ],
)
def where(request: pytest.FixtureRequest) -> Where:
    """Where the stage runs."""
    found: Where = request.param
    return found


@pytest.fixture(scope="module")
def desk(
    broker: EmbeddedBroker | ApacheKafka, where: Where, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    emptied(broker)
    with opened(broker, where, tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.fixture
def own_desk(desk: Desk, broker: EmbeddedBroker | ApacheKafka, where: Where, tmp_path: Path) -> Iterator[Desk]:
    """For what might stop a worker."""
    with opened(broker, where, tmp_path) as made:
        yield made


@contextmanager
def opened(broker: EmbeddedBroker | ApacheKafka, where: Where, folder: Path) -> Iterator[Desk]:
    place = corner(broker)
    puppet = Puppet("puppet", folder)
    settings = place.settings.model_copy(update={"kafka_instance_id": fresh("w")})
    with pytest.MonkeyPatch.context() as patch, where(puppet, folder) as stage:
        patch.setattr(host, "stopped_by_signals", stopped_by_its_thread)
        with in_thread(lambda: host.run_workers([stage], settings)):
            made = Desk(place, puppet, folder, isinstance(broker, ApacheKafka))
            yield made
            made.eyes.close()


@pytest.fixture(autouse=True)
def _let_go(desk: Desk) -> Iterator[None]:
    yield
    desk.puppet.go()


def test_an_answer_goes_where_the_headers_say(desk: Desk) -> None:
    for partition in (3, 0):
        headers = {"reply_partition": partition, "traceparent": TRACE, "tracestate": "a=b", "other": "stays"}
        answer = desk.ask(headers)
        assert answer.partition == partition
        assert answer.value["status"] == "success"
        assert answer.key == answer.value["correlation_id"] == answer.headers["correlation_id"]
        assert (answer.headers["traceparent"], answer.headers["tracestate"]) == (TRACE, "a=b")
        assert "worker" in answer.headers
        (lay,) = everything(desk.settings, desk.place.requests, answer.value["request_id"])
        assert answer.headers["request_partition"] == str(lay.partition)
        assert Path(answer.value["artifact_path"]).read_text() == answer.value["request_id"]


@pytest.mark.parametrize("nonsense", ["", "-1", "4", "nan", "inf", "two", "1e400", "\x00"])
def test_a_reply_partition_that_is_none_is_passed_over(desk: Desk, nonsense: str) -> None:
    assert desk.ask({"reply_partition": nonsense, "deadline": nonsense}).value["status"] in ("success", "error")


def test_no_key_and_no_ids(desk: Desk) -> None:
    before = len(desk.puppet.log("done"))
    desk.place.ask({"output_dir": str(desk.folder), "mark": "no ids"})
    (answer,) = desk.eyes.wait(lambda each: each.topic == desk.place.responses and each.value["correlation_id"] is None)
    assert answer.value["status"] == "success"
    assert answer.key == answer.value["request_id"]
    assert len(desk.puppet.log("done")) == before + 1


def test_ids_in_headers_alone(desk: Desk) -> None:
    request = desk.request()
    name = request.pop("correlation_id")
    desk.place.ask(request, headers={"correlation_id": name})
    assert desk.answer(request["request_id"]).value["correlation_id"] == name


def test_a_newer_schema_and_an_older_one(desk: Desk) -> None:
    newer = desk.ask(a_field_of_tomorrow={"deep": [1, 2, {"er": None}]}, steps=2)
    assert newer.value["status"] == "success"
    request = {"request_id": fresh("r")}
    desk.place.ask(request)
    assert desk.answer(request["request_id"]).value["status"] == "success"


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"\xff\xfe\x00", b"[]", b"null", b'"text"', b"NaN", b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}"],
    ids=lambda value: repr(value[:8]),
)
def test_what_can_not_be_parsed_is_put_aside_at_once(desk: Desk, value: bytes) -> None:
    mark = fresh("mark")
    desk.place.ask(value, headers={"mark": mark}, key="a key")
    letter = desk.dead_letter(lambda each: each.headers.get("mark") == mark)
    assert letter.record.value() == value
    assert letter.key == "a key"
    assert letter.headers["error_code"] == "INVALID_MESSAGE"
    assert letter.headers["original_topic"] == desk.place.requests
    assert {"original_partition", "original_offset", "failed_at", "error_message"} <= letter.headers.keys()
    assert "history" not in letter.headers


def test_a_tombstone_is_put_aside(desk: Desk) -> None:
    mark = fresh("mark")
    desk.place.ask(None, headers={"mark": mark}, key="a key")
    assert desk.dead_letter(lambda each: each.headers.get("mark") == mark).value is None


def test_as_long_as_may_be_and_a_byte_longer(desk: Desk) -> None:
    request = desk.request(padding="")
    bare = len(str(request).replace("'", '"'))
    request["padding"] = "x" * (MAX_VALUE_BYTES - bare)
    desk.place.ask(request)
    assert desk.answer(request["request_id"]).value["status"] == "success"
    longer = desk.request(padding=request["padding"] + "x")
    desk.place.ask(longer)
    letter = desk.dead_letter(lambda each: each.about(longer["request_id"]))
    assert letter.headers["error_code"] == "INVALID_MESSAGE"
    assert letter.value == longer


def test_wrong_fields_are_answered_and_put_aside(desk: Desk) -> None:
    answer = desk.ask({"reply_partition": 2}, steps="many")
    assert answer.partition == 2
    assert (answer.value["status"], answer.value["error_code"]) == ("error", "INVALID_REQUEST")
    assert "steps" in answer.value["error_message"]
    letter = desk.dead_letter(lambda each: each.about(answer.value["request_id"]))
    assert letter.headers["error_code"] == "INVALID_REQUEST"
    assert desk.puppet.log("begun", answer.value["request_id"]) == []


@pytest.mark.parametrize("which", ["request_id", "correlation_id"])
@pytest.mark.parametrize(
    "names",
    [["../up", "", 7, {"a": 1}, [1], "ä\x00b"], ["\ud800"], ["x" * 900_000]],
    ids=["no ids", "no text", "long"],
)
def test_no_id_can_stop_a_worker(own_desk: Desk, which: str, names: list[Any]) -> None:
    for name in names:
        own_desk.place.ask(own_desk.request(**{which: name}), partition=0)
    request = own_desk.request()
    own_desk.place.ask(request, partition=0)
    assert own_desk.answer(request["request_id"]).value["status"] == "success"
    answers = everything(own_desk.settings, own_desk.place.responses)
    assert len(answers) == len(names) + 1, answers


@pytest.mark.parametrize("name", ["traceparent", "correlation_id", "other"])
def test_a_long_header_can_not_stop_a_worker(own_desk: Desk, name: str) -> None:
    own_desk.place.ask(own_desk.request(), headers={name: "x" * 900_000}, partition=0)
    request = own_desk.request()
    own_desk.place.ask(request, partition=0)
    assert own_desk.answer(request["request_id"]).value["status"] == "success"


def test_what_may_pass_is_tried_again(desk: Desk) -> None:
    desk.puppet.fail(2, "passing")
    answer = desk.ask()
    name = answer.value["request_id"]
    assert answer.value["status"] == "success"
    assert len(desk.puppet.log("begun", name)) == 3
    assert desk.said(desk.place.dead, name) == []


def test_after_too_many_tries_it_is_put_aside_with_its_history_and_can_be_replayed(desk: Desk) -> None:
    desk.puppet.fail(3, "passing")
    answer = desk.ask({"reply_partition": 1, "traceparent": TRACE})
    name = answer.value["request_id"]
    assert (answer.value["error_code"], answer.value["retryable"]) == ("OUT_OF_MEMORY", True)
    letter = desk.dead_letter(lambda each: each.about(name))
    history = letter.headers["history"]
    assert [history.count(f'"attempt":{n},') for n in (1, 2, 3, 4)] == [1, 1, 1, 0]
    assert history.count("OUT_OF_MEMORY") == 3

    listed = [each for each in dead_letters(desk.settings, desk.place.requests) if each.record.value() is not None]
    assert f"{letter.topic}/{letter.partition}/{letter.offset}" in [each.name for each in listed]
    found = one_dead_letter(desk.settings, letter.topic, letter.partition, letter.offset)
    assert found is not None
    value = found.record.value()
    replay(desk.settings, found, letter.key, None if value is None else bytes(value))
    again = desk.eyes.wait(lambda each: each.topic == desk.place.responses and each.about(name), 2)[1]
    assert (again.value["status"], again.partition, again.headers["traceparent"]) == ("success", 1, TRACE)
    (first, second) = everything(desk.settings, desk.place.requests, name)
    assert second.headers["replayed_from"] == found.name
    assert second.value == first.value
    assert not {"error_code", "history", "original_topic"} & second.headers.keys()


def test_a_replay_is_done_though_the_deadline_has_passed(desk: Desk) -> None:
    desk.puppet.fail()
    deadline = time.time() + 3600
    answer = desk.ask({"deadline": deadline})
    name = answer.value["request_id"]
    letter = desk.dead_letter(lambda each: each.about(name))
    found = one_dead_letter(desk.settings, letter.topic, letter.partition, letter.offset)
    assert found is not None
    late = type(found)(found.record, {**found.headers, "deadline": "1.0"})
    replay(desk.settings, late, letter.key, found.record.value())
    again = desk.eyes.wait(lambda each: each.topic == desk.place.responses and each.about(name), 2)[1]
    assert again.value["status"] == "success", again.value


def test_what_can_not_succeed_is_tried_once(desk: Desk) -> None:
    desk.puppet.fail()
    answer = desk.ask()
    name = answer.value["request_id"]
    assert answer.value["error_code"] == "PUPPET_BROKEN"
    assert len(desk.puppet.log("begun", name)) == 1
    assert desk.dead_letter(lambda each: each.about(name)).headers["error_code"] == "PUPPET_BROKEN"


def test_cancelled_before_its_turn(desk: Desk) -> None:
    request = desk.request()
    say(desk.settings, topics.STAGE_CANCELS, {k: request[k] for k in ("correlation_id", "request_id")})
    # Held by another job, the worker has time to hear of it.
    desk.puppet.hold()
    other = desk.request()
    desk.place.ask(other, key="same")
    desk.puppet.wait_begun(1, other["request_id"])
    desk.place.ask(request, key="same")
    cancelled_other = {"correlation_id": other["correlation_id"], "request_id": other["request_id"]}
    say(desk.settings, topics.STAGE_CANCELS, cancelled_other)
    assert desk.answer(other["request_id"]).value["error_code"] == "CANCELLED"
    assert desk.answer(request["request_id"]).value["error_code"] == "CANCELLED"
    desk.puppet.go()
    for name in (request["request_id"], other["request_id"]):
        assert desk.said(desk.place.dead, name) == []
        assert desk.puppet.log("done", name) == []
        assert not list(desk.folder.glob(f"*{name}*"))


def test_the_deadline_has_passed(desk: Desk) -> None:
    answer = desk.ask({"deadline": f"{time.time() - 1:.3f}"})
    name = answer.value["request_id"]
    assert answer.value["error_code"] == "DEADLINE_EXCEEDED"
    assert desk.puppet.log("begun", name) == []
    assert desk.said(desk.place.dead, name) == []
    assert desk.ask({"deadline": f"{time.time() + 3600:.3f}"}).value["status"] == "success"


def test_progress_is_told_on_the_partition_of_the_reply(desk: Desk) -> None:
    answer = desk.ask({"reply_partition": 3, "traceparent": TRACE}, steps=3)
    name = answer.value["request_id"]
    desk.eyes.one(topics.TRYON_PROGRESS, name, state="done")
    news = [each for each in desk.eyes.seen if each.topic == topics.TRYON_PROGRESS and each.about(name)]
    states = [(each.value["state"], each.value["done"]) for each in news]
    assert states == [("started", 0), ("running", 0), ("running", 1), ("running", 2), ("running", 3), ("done", 0)]
    assert [each.value["done"] for each in news if each.value["preview"]] == [1, 2, 3]
    with Image.open(BytesIO(b64decode(news[-2].value["preview"])), formats=["JPEG"]) as picture:
        assert picture.size == (160, 120)
    assert {each.partition for each in news} == {3}
    assert {each.headers["traceparent"] for each in news} == {TRACE}
    assert {(each.value["step"], each.key) for each in news} == {("puppet", answer.key)}


def test_one_answer_to_each_of_many(desk: Desk) -> None:
    requests = [desk.request() for _ in range(30)]
    for number, request in enumerate(requests):
        desk.place.ask(request, partition=number % 4)
    for request in requests:
        desk.answer(request["request_id"])
    names = [each.value["request_id"] for each in everything(desk.settings, desk.place.responses)]
    assert all(names.count(request["request_id"]) == 1 for request in requests)
