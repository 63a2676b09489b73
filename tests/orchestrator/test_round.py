"""One round of the orchestrator: what has come, what follows from it, and how far it was read."""

import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message as Record

from orchestrator.balance import Balance
from orchestrator.config import Config
from orchestrator.memory import MOST, Shelf
from orchestrator.records import Records
from orchestrator.round import Round
from orchestrator.steps import STEPS
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.sending import Outgoing

CODEC = JsonCodec()
PICTURES = {"person_image_path": "/person.png", "garment_image_path": "/garment.png"}


class Desk:
    """Partitions 0 and 1, and rounds on them."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.config = Config(intermediate_dir=folder / "intermediate", **settings)
        self.shelves = {0: Shelf(), 1: Shelf()}
        self.balance = Balance(dict.fromkeys(STEPS, 4))
        self.offset = 0

    def round(self) -> Round:
        records = Records(CODEC, self.config.keep_intermediates)
        return Round(self.shelves, self.config, CODEC, records, self.balance)

    def record(self, topic: str, fields: Any, partition: int = 0, **headers: str) -> Record:
        self.offset += 1
        value = fields if isinstance(fields, bytes | None) else json.dumps(fields).encode()
        return Record(topic, partition, self.offset - 1, None, value, [(n, v.encode()) for n, v in headers.items()])

    def request(self, name: str, partition: int = 0, **fields: Any) -> Record:
        return self.record("tryon-requests", {"correlation_id": name} | PICTURES | fields, partition)

    def cancel(self, name: Any, partition: int = 0) -> Record:
        return self.record("tryon-cancels", {"correlation_id": name}, partition)

    def answer(self, step: str, asked: Outgoing, partition: int = 0, **headers: str) -> Record:
        ids = {name: value_of(asked)[name] for name in ("request_id", "correlation_id")}
        given = {name: f"/{name}" for name in STEPS[step].gives}
        return self.record(
            f"{step}-responses".replace("_", "-"), {"status": "success"} | ids | given, partition, **headers
        )


def value_of(record: Outgoing) -> Any:
    return json.loads(record.value or b"null")


def on(outgoing: list[Outgoing], topic: str) -> list[Outgoing]:
    return [each for each in outgoing if each.topic == topic]


def offsets(this: Round) -> dict[tuple[str, int], int]:
    return {(each.topic, each.partition): each.offset for each in this.results()[1]}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_request_becomes_two_requests_a_state_and_an_offset(desk: Desk) -> None:
    this = desk.round()
    this.take_request(desk.request("c", 1))
    outgoing, _ = this.results()
    assert [each.topic for each in outgoing] == ["latent-encoder-requests", "text-encoder-requests", "tryon-status"]
    assert [each.partition for each in outgoing] == [0, 0, 1]
    assert [each.headers.get("reply_partition") for each in outgoing] == [1, 1, None]
    assert {each.key for each in outgoing} == {"c"}
    assert offsets(this) == {("tryon-requests", 1): 1}


def test_many_changes_of_one_round_are_one_state(desk: Desk) -> None:
    first = desk.round()
    first.take_request(desk.request("c"))
    latent, text, _ = first.results()[0]
    this = desk.round()
    this.take_answer("latent_encoder", desk.answer("latent_encoder", latent))
    this.take_answer("text_encoder", desk.answer("text_encoder", text))
    outgoing, _ = this.results()
    (state,) = on(outgoing, "tryon-status")
    assert {name: step["state"] for name, step in value_of(state)["steps"].items()} == {
        "latent_encoder": "done",
        "text_encoder": "done",
        "sampling": "sent",
    }
    assert len(on(outgoing, "sampling-requests")) == 1


def test_one_name_on_two_partitions_is_two_states(desk: Desk) -> None:
    this = desk.round()
    this.take_request(desk.request("c", 0))
    this.take_request(desk.request("c", 1))
    assert [each.partition for each in on(this.results()[0], "tryon-status")] == [0, 1]


def test_nothing_is_done_twice_but_all_is_read(desk: Desk) -> None:
    desk.round().take_request(desk.request("c"))
    desk.shelves[0].end("ended")
    this = desk.round()
    this.take_request(desk.request("c"))
    this.take_request(desk.request("ended"))
    assert this.results()[0] == []
    assert offsets(this) == {("tryon-requests", 0): 3}


def test_an_early_cancel_counts_as_unread_until_its_try_on_comes(desk: Desk) -> None:
    this = desk.round()
    this.take_cancel(desk.cancel("late"))
    assert offsets(this) == {("tryon-cancels", 0): 0}
    this = desk.round()
    this.take_cancel(desk.cancel("later"))
    this.take_cancel(desk.cancel("late"))
    assert offsets(this) == {("tryon-cancels", 0): 0}
    this = desk.round()
    this.take_request(desk.request("late"))
    assert offsets(this) == {("tryon-cancels", 0): 1, ("tryon-requests", 0): 4}
    (answer,) = on(this.results()[0], "tryon-responses")
    assert value_of(answer)["error_code"] == "CANCELLED"
    this = desk.round()
    this.take_request(desk.request("later"))
    assert offsets(this) == {("tryon-cancels", 0): 3, ("tryon-requests", 0): 5}


@pytest.mark.parametrize("value", [b"{", None, b"{}", {"correlation_id": None}, {"correlation_id": {"a": 1}}])
def test_a_cancel_of_nothing_is_read_and_forgotten(desk: Desk, value: Any) -> None:
    this = desk.round()
    this.take_cancel(desk.record("tryon-cancels", value))
    assert offsets(this) == {("tryon-cancels", 0): 1}


def test_a_deadline_that_has_passed_is_an_event_with_an_offset_to_prove_it_with(tmp_path: Path) -> None:
    desk = Desk(tmp_path, step_seconds={"latent_encoder": 1e-9})
    desk.round().take_request(desk.request("c"))
    this = desk.round()
    this.look_at_deadlines()
    outgoing, _ = this.results()
    assert len(on(outgoing, "latent-encoder-requests")) == 1
    assert len(on(outgoing, "stage-cancels")) == 1
    assert offsets(this), "without offsets nobody would look whether we may still decide"


def test_a_try_on_that_ended_in_this_round_has_no_more_deadlines(tmp_path: Path) -> None:
    desk = Desk(tmp_path, step_seconds={"latent_encoder": 1e-9})
    desk.round().take_request(desk.request("c"))
    this = desk.round()
    this.take_cancel(desk.cancel("c"))
    this.look_at_deadlines()
    assert [value_of(each)["error_code"] for each in on(this.results()[0], "tryon-responses")] == ["CANCELLED"]
    assert [each.correlation_id for each in this.ended] == ["c"]


def test_load_is_learned_from_answers(desk: Desk) -> None:
    first = desk.round()
    for number in range(4):
        first.take_request(desk.request(f"c{number}"))
    asked = on(first.results()[0], "latent-encoder-requests")
    assert [each.partition for each in asked] == [0, 1, 2, 3]
    this = desk.round()
    this.take_answer("latent_encoder", desk.answer("latent_encoder", asked[2], request_partition="2", worker="w"))
    this.take_request(desk.request("next"))
    (chosen,) = on(this.results()[0], "latent-encoder-requests")
    assert chosen.partition == 2


@pytest.mark.parametrize("value", [b"{", None, b"[]", {}, {"status": "success"}, {"correlation_id": ["c"]}])
def test_an_answer_that_is_none_is_read_and_passed_over(desk: Desk, value: Any) -> None:
    desk.round().take_request(desk.request("c"))
    this = desk.round()
    this.take_answer("latent_encoder", desk.record("latent-encoder-responses", value))
    assert this.results()[0] == []
    assert offsets(this) == {("latent-encoder-responses", 0): 2}


def test_a_shelf_remembers_so_many_and_no_more() -> None:
    shelf = Shelf()
    for number in range(MOST + 5):
        shelf.end(str(number))
        shelf.cancel_early(str(number), number)
    assert len(shelf.ended) == len(shelf.cancelled_early) == MOST
    assert "4" not in shelf.ended
    assert min(shelf.cancelled_early.values()) == 5
