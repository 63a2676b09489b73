"""What a message says: its value, its headers, and what of them goes on."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import Message as Record
from hypothesis import given
from hypothesis import strategies as st

from shared_utils.contracts import Cancel
from shared_utils.telemetry.traces import trace_of
from shared_utils.transports.kafka.asked import Asked
from shared_utils.transports.kafka.dead_letters import LONGEST_HEADER, dead_letter
from shared_utils.transports.kafka.messages import (
    MAX_VALUE_BYTES,
    InvalidMessageError,
    JsonCodec,
    as_headers,
    decoded,
    headers_of,
)

CODEC = JsonCodec()


def record(
    value: bytes | None = b"{}", headers: list[tuple[str, str | bytes | None]] | None = None, key: bytes | None = None
) -> Record:
    return Record("sampling-requests", 3, 5, key, value, headers)


def asked(value: bytes = b"{}", **headers: str) -> Asked:
    return Asked.by(record(value, [(name, text.encode()) for name, text in headers.items()]), CODEC)


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)))
def test_json_comes_back(fields: dict[str, Any]) -> None:
    assert CODEC.decode("topic", CODEC.encode("topic", fields)) == fields


def test_models_are_written_as_objects() -> None:
    cancel = Cancel(correlation_id="c", timestamp=datetime(2026, 1, 2, tzinfo=UTC))
    fields = CODEC.decode("topic", CODEC.encode("topic", cancel))
    assert fields == {"correlation_id": "c", "request_id": None, "timestamp": "2026-01-02T00:00:00.000Z"}


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_refused(value: bytes) -> None:
    try:
        fields = decoded(CODEC, record(value))
    except InvalidMessageError:
        return
    assert isinstance(fields, dict)


@pytest.mark.parametrize("value", [None, b"", b"null", b"[]", b"1", b"\xff", b"[" * 50_000, b"1" * 5000])
def test_what_is_no_object_is_refused(value: bytes | None) -> None:
    with pytest.raises(InvalidMessageError):
        decoded(CODEC, record(value))


def test_the_longest_value() -> None:
    longest = b'{"a":"' + b"x" * (MAX_VALUE_BYTES - 8) + b'"}'
    assert len(longest) == MAX_VALUE_BYTES
    assert decoded(CODEC, record(longest))
    with pytest.raises(InvalidMessageError, match="1000001 bytes"):
        decoded(CODEC, record(longest + b" "))


def test_headers_as_text() -> None:
    given: list[tuple[str, str | bytes | None]] = [
        ("a", b"1"),
        ("a", b"2"),
        ("b", None),
        ("c", b"\xff"),
        ("d", "ä".encode()),
    ]
    assert headers_of(record(headers=given)) == {"a": "2", "c": "\ufffd", "d": "ä"}
    assert headers_of(record(headers=None)) == {}
    assert as_headers({"a": None, "b": 0, "c": "ä"}) == [("b", "0"), ("c", "ä")]


def test_of_a_trace_only_what_can_be_one_goes_on() -> None:
    assert trace_of({"traceparent": "00-a", "other": "x", "baggage": "k=v"}) == {
        "traceparent": "00-a",
        "baggage": "k=v",
    }
    assert trace_of({"traceparent": "x" * 100_000}) == {}


def test_ids_from_the_value_then_from_the_headers() -> None:
    both = asked(b'{"request_id":"r","correlation_id":"c"}', correlation_id="h")
    assert (both.request_id, both.correlation_id, both.key) == ("r", "c", "c")
    header = asked(b'{"request_id":"r"}', correlation_id="h")
    assert (header.correlation_id, header.key) == ("h", "h")
    neither = asked(b'{"request_id":"r"}')
    assert (neither.correlation_id, neither.key) == (None, "r")
    assert neither.echoed == {"correlation_id": None}


def test_a_request_without_an_id_has_the_same_each_time_it_is_read() -> None:
    assert asked().request_id == asked().request_id
    other = Asked.by(Record("sampling-requests", 3, 6, None, b"{}", None), CODEC)
    assert other.request_id != asked().request_id


@given(st.none() | st.booleans() | st.integers() | st.text(max_size=300) | st.lists(st.text(max_size=5), max_size=3))
def test_whatever_an_id_is_it_can_be_answered_to(name: Any) -> None:
    request = asked(json.dumps({"request_id": name, "correlation_id": name}).encode())
    for given_back in (request.key, request.request_id):
        assert 0 < len(given_back.encode()) < 10_000
    for _, value in as_headers(request.echoed):
        assert isinstance(value, str)
        assert len(value.encode()) < 10_000


@pytest.mark.parametrize(
    ("text", "partition"),
    [("0", 0), ("3", 3), ("4", -1), ("-1", -1), ("", -1), ("nan", -1), ("inf", -1), ("x", -1), ("1e400", -1)],
)
def test_reply_partition(text: str, partition: int) -> None:
    assert asked(reply_partition=text).reply_partition(4) == partition


@pytest.mark.parametrize(
    ("text", "passed"), [("999.9", True), ("1000", False), ("1000.1", False), ("nan", False), ("soon", False)]
)
def test_deadline(text: str, passed: bool) -> None:
    assert asked(deadline=text).expired(datetime.fromtimestamp(1000, UTC)) is passed
    assert not asked().expired(datetime.fromtimestamp(1000, UTC))


def test_a_dead_letter_is_the_record_and_its_story() -> None:
    came = record(b"\xff", [("traceparent", b"00-a"), ("deadline", b"5")], b"key\xff")
    letter = dead_letter(came, "CODE", "m" * 10_000, [{"attempt": 1}])
    assert (letter.topic, letter.value, letter.key) == ("sampling-requests-dlq", b"\xff", "key\ufffd")
    story = {name: str(value) for name, value in letter.headers.items() if value is not None}
    place = {"original_topic": "sampling-requests", "original_partition": "3", "original_offset": "5"}
    told = place | {"traceparent": "00-a", "error_code": "CODE", "history": '[{"attempt":1}]'}
    assert told.items() <= story.items()
    assert len(story["error_message"]) == LONGEST_HEADER
