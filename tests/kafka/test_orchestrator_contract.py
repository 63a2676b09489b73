"""What an orchestrator does with every kind of message, on both brokers."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from orchestrator.steps import STEPS
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.dead_letters import one_dead_letter, replay
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from tests.kafka.orchestra import Orchestra, orchestra_on
from tests.kafka.support import emptied, fresh, say, until

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def orchestra(broker: EmbeddedBroker | ApacheKafka, tmp_path: Path) -> Iterator[Orchestra]:
    """On a broker with nothing on it; the one in memory is quickly made."""
    with ExitStack() as used:
        own = used.enter_context(EmbeddedBroker()) if isinstance(broker, EmbeddedBroker) else broker
        emptied(own)
        yield used.enter_context(orchestra_on(own, tmp_path))


def test_a_try_on_from_end_to_end(orchestra: Orchestra, tmp_path: Path) -> None:
    orchestra.engine()
    orchestra.workers()
    request = orchestra.request()
    name = request["correlation_id"]
    say(orchestra.settings, topics.TRYON_REQUESTS, request, partition=2, headers={"traceparent": TRACE})
    answer = orchestra.answer(name)
    assert answer.value["status"] == "success"
    assert (answer.value["request_id"], answer.value["seed"]) == (request["request_id"], 7)
    assert [timing["step"] for timing in answer.value["timings"]].count("sampling") == 1
    assert Path(answer.value["image_path"]).parent == tmp_path / "output"
    assert answer.key == name
    orchestra.status(name, "succeeded")

    seen = [each for each in orchestra.eyes.seen if each.about(name)]
    of_the_try_on = {topics.TRYON_STATUS, topics.TRYON_RESPONSES, *map(topics.response_topic, STEPS)}
    assert {each.partition for each in seen if each.topic in of_the_try_on} == {2}
    for step in STEPS:
        (asked,) = [each for each in seen if each.topic == topics.request_topic(step)]
        assert asked.headers["reply_partition"] == "2"
        assert float(asked.headers["deadline"]) > time.time()
    ours = [each for each in seen if each.topic != topics.TRYON_REQUESTS]
    assert {each.headers.get("traceparent") for each in ours} == {TRACE}
    assert [each.headers["state"] for each in seen if each.topic == topics.TRYON_STATUS][-1] == "succeeded"
    orchestra.stop()
    assert len(orchestra.all(topics.TRYON_RESPONSES, name)) == 1
    assert not (tmp_path / "intermediate" / name).exists()


def test_intermediate_files_are_kept(orchestra: Orchestra) -> None:
    orchestra.engine(keep_intermediates=True)
    orchestra.workers()
    answer = orchestra.answer(orchestra.ask()).value
    assert answer["intermediates_kept"] is True
    orchestra.stop()
    for field in ("latent_file_path", "positive_encoding_path", "sampled_latent_path", "image_path"):
        assert Path(answer[field]).exists()


def test_steps_side_by_side_and_answers_twice_or_astray(orchestra: Orchestra) -> None:
    orchestra.engine()
    name = orchestra.ask(partition=1)
    latent, text = orchestra.asked("latent_encoder", name), orchestra.asked("text_encoder", name)
    orchestra.reply("text_encoder", text)
    orchestra.reply("text_encoder", text)
    stranger = {"status": "success", "request_id": fresh(), "correlation_id": name, "latent_file_path": "/wrong"}
    for value in (stranger, {"status": "success"}, {}, b"{", b"[1]", None, {"correlation_id": [name]}):
        say(orchestra.settings, topics.response_topic("latent_encoder"), value, partition=1)
    orchestra.reply("latent_encoder", latent)
    sampling = orchestra.asked("sampling", name)
    assert sampling.value["latent_image"] == "/latent_file_path"
    orchestra.reply("sampling", sampling)
    orchestra.reply("latent_encoder", latent)
    orchestra.reply("decoding", orchestra.asked("decoding", name))
    assert orchestra.answer(name).value["status"] == "success"
    orchestra.stop()
    for step in STEPS:
        assert len(orchestra.all(topics.request_topic(step), name)) == 1
    assert len(orchestra.all(topics.TRYON_RESPONSES, name)) == 1


def test_a_step_that_fails(orchestra: Orchestra) -> None:
    orchestra.stages["sampling"].fail()
    orchestra.engine()
    orchestra.workers()
    name = orchestra.ask(partition=3)
    answer = orchestra.answer(name)
    assert (answer.value["status"], answer.value["error_code"]) == ("error", "PUPPET_BROKEN")
    assert answer.value["failed_step"] == "sampling"
    dead = topics.dead_letter_topic(topics.TRYON_REQUESTS)
    letter = orchestra.eyes.one(dead, name)
    assert (letter.headers["error_code"], letter.headers["original_topic"]) == ("PUPPET_BROKEN", "tryon-requests")
    assert letter.value["correlation_id"] == name
    assert [each.headers["state"] for each in orchestra.all(topics.TRYON_STATUS, name)][-1] == "failed"

    found = one_dead_letter(orchestra.settings, dead, letter.partition, letter.offset)
    assert found is not None
    again = fresh("again")
    value = json.dumps(letter.value | {"correlation_id": again, "request_id": fresh()}).encode()
    replay(orchestra.settings, found, again, value)
    assert orchestra.answer(again).value["status"] == "success"


def test_nobody_answers_in_time(orchestra: Orchestra) -> None:
    orchestra.engine(step_seconds={"latent_encoder": 0.2}, step_attempts=2)
    name = orchestra.ask()
    first, second = (orchestra.asked("latent_encoder", name, times) for times in (1, 2))
    assert first.value["request_id"] != second.value["request_id"]
    answer = orchestra.answer(name).value
    assert (answer["error_code"], answer["failed_step"], answer["retryable"]) == (
        "STEP_TIMED_OUT",
        "latent_encoder",
        True,
    )
    stopped = {each.value["request_id"] for each in orchestra.all(topics.STAGE_CANCELS, name)}
    text = orchestra.asked("text_encoder", name)
    assert stopped == {each.value["request_id"] for each in (first, second, text)}


def test_a_worker_that_finds_the_deadline_passed_says_the_same(orchestra: Orchestra) -> None:
    """Its clock and ours are two: it may be the first to say so."""
    orchestra.engine(step_attempts=2)
    name = orchestra.ask()
    for times in (1, 2):
        asked = orchestra.asked("latent_encoder", name, times)
        late: dict[str, Any] = {
            "status": "error",
            "error_code": "DEADLINE_EXCEEDED",
            "error_message": "late",
            "retryable": False,
        }
        orchestra.reply("latent_encoder", asked, **late)
    assert orchestra.answer(name).value["error_code"] == "STEP_TIMED_OUT"


def test_a_late_answer_is_as_good(orchestra: Orchestra) -> None:
    orchestra.engine(step_seconds={"latent_encoder": 0.2, "text_encoder": 60}, step_attempts=100)
    name = orchestra.ask()
    first = orchestra.asked("latent_encoder", name)
    orchestra.asked("latent_encoder", name, 2)
    orchestra.reply("latent_encoder", first)
    orchestra.reply("text_encoder", orchestra.asked("text_encoder", name))
    orchestra.reply("sampling", orchestra.asked("sampling", name))
    orchestra.reply("decoding", orchestra.asked("decoding", name))
    assert orchestra.answer(name).value["status"] == "success"


def test_cancelled_before_it_came(orchestra: Orchestra) -> None:
    orchestra.engine()
    name = fresh("c")
    orchestra.cancel(name, 1)
    witness = orchestra.ask(partition=1)
    orchestra.asked("latent_encoder", witness)
    orchestra.ask(partition=1, correlation_id=name)
    assert orchestra.answer(name).value["error_code"] == "CANCELLED"
    orchestra.cancel(witness, 1)
    orchestra.answer(witness)
    assert orchestra.all(topics.request_topic("latent_encoder"), name) == []
    assert orchestra.all(topics.dead_letter_topic(topics.TRYON_REQUESTS), name) == []


def test_cancelled_before_it_came_and_before_a_restart(orchestra: Orchestra) -> None:
    orchestra.engine()
    name = fresh("c")
    orchestra.cancel(name, 1)
    witness = orchestra.ask(partition=1)
    orchestra.asked("latent_encoder", witness)
    orchestra.cancel(witness, 1)
    orchestra.answer(witness)
    orchestra.stop()
    orchestra.engine()
    orchestra.ask(partition=1, correlation_id=name)
    assert orchestra.answer(name).value["error_code"] == "CANCELLED"


def test_cancelled_while_a_stage_works(orchestra: Orchestra, tmp_path: Path) -> None:
    sampling = orchestra.stages["sampling"]
    sampling.hold()
    orchestra.engine()
    orchestra.workers()
    name = orchestra.ask(partition=2)
    sampling.wait_begun()
    orchestra.cancel(name, 2)
    assert orchestra.answer(name).value["error_code"] == "CANCELLED"
    stopped = orchestra.eyes.one(topics.response_topic("sampling"), name)
    assert stopped.value["error_code"] == "CANCELLED"
    assert sampling.log("done") == []
    orchestra.cancel(name, 2)
    after = orchestra.ask(partition=2)
    sampling.go()
    assert orchestra.answer(after).value["status"] == "success"
    assert len(orchestra.all(topics.TRYON_RESPONSES, name)) == 1
    assert orchestra.all(topics.dead_letter_topic(topics.TRYON_REQUESTS), name) == []
    orchestra.stop()
    assert not (tmp_path / "intermediate" / name).exists()


def test_cancelled_afterwards(orchestra: Orchestra) -> None:
    orchestra.engine()
    orchestra.workers()
    name = orchestra.ask(partition=0)
    assert orchestra.answer(name).value["status"] == "success"
    orchestra.cancel(name, 0)
    orchestra.answer(orchestra.ask(partition=0))
    assert [each.value["status"] for each in orchestra.all(topics.TRYON_RESPONSES, name)] == ["success"]


def test_asked_twice(orchestra: Orchestra) -> None:
    orchestra.engine()
    orchestra.workers()
    name = fresh("c")
    for _ in range(2):
        orchestra.ask(partition=1, correlation_id=name)
    orchestra.answer(name)
    orchestra.ask(partition=1, correlation_id=name)
    orchestra.answer(orchestra.ask(partition=1))
    assert len(orchestra.all(topics.TRYON_RESPONSES, name)) == 1
    assert len(orchestra.all(topics.request_topic("sampling"), name)) == 1
    orchestra.stop()
    orchestra.engine()
    orchestra.workers()
    orchestra.ask(partition=1, correlation_id=name)
    orchestra.answer(orchestra.ask(partition=1))
    assert len(orchestra.all(topics.TRYON_RESPONSES, name)) == 1


def test_so_many_at_once_and_the_others_wait_in_kafka(orchestra: Orchestra) -> None:
    orchestra.engine(max_in_flight=2)
    names = [orchestra.ask(partition=number % 4) for number in range(5)]
    topic = topics.request_topic("latent_encoder")
    begun: list[str] = []
    while len(begun) < 5:
        count = min(len(begun) + 2, 5)
        asked = orchestra.eyes.wait(lambda each: each.topic == topic, count)
        now = [each.value["correlation_id"] for each in orchestra.all(topic)]
        assert len(now) == count
        assert set(now) == {each.value["correlation_id"] for each in asked}
        ended = next(name for name in now if name not in begun)
        begun.append(ended)
        home = next(each.partition for each in orchestra.all(topics.TRYON_STATUS, ended))
        orchestra.cancel(ended, home)
        orchestra.answer(ended)
    assert set(begun) == set(names)


def test_what_was_under_way_is_taken_up_again(orchestra: Orchestra) -> None:
    orchestra.engine()
    names = [orchestra.ask(partition=number) for number in range(3)]
    asked = {name: orchestra.asked("latent_encoder", name) for name in names}
    orchestra.reply("latent_encoder", asked[names[0]])
    orchestra.eyes.wait(
        lambda each: (
            each.topic == topics.TRYON_STATUS
            and each.about(names[0])
            and each.value["steps"]["latent_encoder"]["state"] == "done"
        )
    )
    orchestra.stop()
    for name in names[1:]:
        orchestra.reply("latent_encoder", asked[name])
    for name in names:
        orchestra.reply("text_encoder", orchestra.asked("text_encoder", name))
    orchestra.engine()
    orchestra.workers("sampling", "decoding")
    for name in names:
        assert orchestra.answer(name).value["status"] == "success"
    orchestra.stop()
    for step in STEPS:
        assert len(orchestra.all(topics.request_topic(step))) == 3


@pytest.mark.parametrize("value", [b"", None, b"{", b"[]", b"\xff", b"[" * 100_000], ids=lambda value: repr(value)[:10])
def test_a_try_on_that_can_not_be_parsed(orchestra: Orchestra, value: bytes | None) -> None:
    orchestra.engine()
    say(orchestra.settings, topics.TRYON_REQUESTS, value, headers={"mark": "this"})
    dead = topics.dead_letter_topic(topics.TRYON_REQUESTS)
    (letter,) = orchestra.eyes.wait(lambda each: each.topic == dead and each.headers.get("mark") == "this")
    assert letter.headers["error_code"] == "INVALID_MESSAGE"
    assert letter.record.value() == (value or None) or letter.record.value() == value


@pytest.mark.parametrize("which", ["request_id", "correlation_id"])
@pytest.mark.parametrize(
    "names",
    [["../up", 7, {"a": 1}, [1], "ä\x00b"], ["\ud800"], ["x" * 900_000]],
    ids=["no ids", "no text", "long"],
)
def test_no_id_can_stop_an_orchestrator(orchestra: Orchestra, which: str, names: list[Any]) -> None:
    orchestra.engine()
    for name in names:
        orchestra.ask(partition=1, **{which: name})
        say(orchestra.settings, topics.TRYON_CANCELS, {"correlation_id": name}, partition=1)
    last = orchestra.ask(partition=1)
    orchestra.asked("latent_encoder", last)
    errors = [each for each in orchestra.all(topics.TRYON_RESPONSES) if each.value["status"] == "error"]
    assert len(errors) == len(names)


@pytest.mark.parametrize("name", ["traceparent", "correlation_id", "other"])
def test_a_long_header_can_not_stop_an_orchestrator(orchestra: Orchestra, name: str) -> None:
    orchestra.engine()
    request = orchestra.request()
    say(orchestra.settings, topics.TRYON_REQUESTS, request, partition=1, headers={name: "x" * 900_000})
    orchestra.asked("latent_encoder", orchestra.ask(partition=1))


def test_wrong_fields_are_answered_and_put_aside(orchestra: Orchestra) -> None:
    orchestra.engine()
    name = orchestra.ask(partition=3, steps="many", garment_image_path=None)
    answer = orchestra.answer(name)
    assert answer.partition == 3
    assert answer.value["error_code"] == "INVALID_REQUEST"
    assert "steps" in answer.value["error_message"]
    assert "garment_image_path" in answer.value["error_message"]
    letter = orchestra.eyes.one(topics.dead_letter_topic(topics.TRYON_REQUESTS), name)
    assert letter.headers["original_partition"] == "3"


def test_a_newer_try_on_an_older_one_and_one_without_ids(orchestra: Orchestra) -> None:
    orchestra.engine()
    newer = orchestra.ask(a_field_of_tomorrow={"deep": [1]})
    orchestra.asked("latent_encoder", newer)
    pictures = {"person_image_path": "/bare.png", "garment_image_path": "/garment.png"}
    say(orchestra.settings, topics.TRYON_REQUESTS, pictures)
    asked = orchestra.eyes.wait(
        lambda each: each.topic == topics.request_topic("latent_encoder") and each.value["image_path"] == "/bare.png"
    )[0]
    name = asked.value["correlation_id"]
    state = orchestra.status(name, "running").value
    assert state["request"]["request_id"] == name
    assert 0 <= state["request"]["seed"] < 2**64


def test_two_try_ons_of_one_name_on_two_partitions_in_one_round(orchestra: Orchestra) -> None:
    """Who publishes without a key and sends again can bring this about."""
    name = fresh("c")
    for partition in (0, 1):
        orchestra.ask(partition=partition, correlation_id=name)
    orchestra.engine()
    topic = topics.request_topic("latent_encoder")
    orchestra.eyes.wait(lambda each: each.topic == topic and each.about(name), 2)
    until(lambda: {each.partition for each in orchestra.all(topics.TRYON_STATUS, name)} == {0, 1}, "both states")
