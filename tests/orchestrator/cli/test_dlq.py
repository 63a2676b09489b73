"""`vtryon dlq`: looking at dead letters, and sending them again."""

import re
import uuid
from typing import Any

import pytest

from orchestrator.cli import dlq
from orchestrator.cli.main import main
from orchestrator.config import Config
from shared_utils.transports.kafka.dead_letters import described
from shared_utils.transports.kafka.messages import CORRELATION_ID, DEADLINE, JsonCodec, decoded, headers_of
from shared_utils.transports.kafka.reading import read_to_the_end
from shared_utils.transports.kafka.sending import Outgoing, send
from shared_utils.transports.kafka.topics import TRYON_REQUESTS, dead_letter_topic, request_topic
from tests.orchestrator.cli.orchestrating import failed, tell

SAMPLING = request_topic("sampling")


@pytest.fixture
def name() -> str:
    return f"try-{uuid.uuid4()}"


def put_aside(config: Config, topic: str, name: str, value: bytes, **headers: Any) -> None:
    story = described(topic, 0, 5, "OUT_OF_MEMORY", "Out of memory while sampling:\n" + 50 * "much ", [{"attempt": 1}])
    send(config, Outgoing(dead_letter_topic(topic), name, value, story | {CORRELATION_ID: name} | headers))


def listed(name: str, capsys: pytest.CaptureFixture[str], *stage: str) -> str:
    """What the letter of that try-on is called."""
    assert main(["dlq", "list", *stage]) == 0
    return next(line.split()[0] for line in capsys.readouterr().out.splitlines() if name in line)


def messages(config: Config, topic: str, name: str) -> list[tuple[dict[str, str], bytes | None]]:
    found = [(headers_of(record), record.value()) for record in read_to_the_end(config, topic)]
    return [each for each in found if each[0].get(CORRELATION_ID) == name]


def test_list_and_show(config: Config, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    put_aside(config, SAMPLING, name, JsonCodec().encode("", {"seed": 7}))
    letter = listed(name, capsys, "sampling")
    assert re.fullmatch(r"sampling-requests-dlq/\d/\d+", letter)
    assert main(["dlq", "show", letter]) == 0
    shown = capsys.readouterr().out
    assert "OUT_OF_MEMORY" in shown
    assert '"seed": 7' in shown
    assert '"attempt": 1' in shown


def test_a_long_message_is_one_short_line(config: Config, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    put_aside(config, SAMPLING, name, b"{}")
    assert main(["dlq", "list", "sampling"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if name in line]
    assert "Out of memory while sampling: much much" in line
    assert line.endswith("...")


def test_a_value_that_is_none_is_shown_in_part(
    config: Config, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dlq, "LONGEST_VALUE", 100)
    put_aside(config, SAMPLING, name, b"\xff" * 5000)
    letter = listed(name, capsys)
    assert main(["dlq", "show", letter]) == 0
    shown = capsys.readouterr().out
    assert "is no JSON" in shown
    assert len(shown) < 2000


def test_a_try_on_begins_anew_under_a_new_name(config: Config, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    request = {CORRELATION_ID: name, "request_id": name, "output_filename": f"tryon_{name}.png", "seed": 7}
    put_aside(config, TRYON_REQUESTS, name, JsonCodec().encode("", request), traceparent="00-1-2-01")
    letter = listed(name, capsys, "tryon")
    assert main(["dlq", "replay", letter]) == 0
    new = capsys.readouterr().out.split()[-1]
    assert new != name
    assert messages(config, TRYON_REQUESTS, name) == []
    ((headers, value),) = messages(config, TRYON_REQUESTS, new)
    assert headers == {CORRELATION_ID: new, "traceparent": "00-1-2-01", "replayed_from": letter}
    fields = JsonCodec().decode("", value or b"")
    assert fields[CORRELATION_ID] == new
    assert fields["request_id"] not in (name, new)
    assert (fields["seed"], fields["output_filename"]) == (7, None)


def test_a_stages_request_goes_as_it_was(config: Config, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    put_aside(config, SAMPLING, name, b'{"seed":  7}')
    letter = listed(name, capsys)
    assert main(["dlq", "replay", letter]) == 0
    assert capsys.readouterr().out == f"sent {letter}\n"
    ((_, value),) = messages(config, SAMPLING, name)
    assert value == b'{"seed":  7}'


def test_nobody_waits_for_it(config: Config, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    tell(config, failed(name))
    put_aside(config, SAMPLING, name, b"{}", **{DEADLINE: "1000.5"})
    letter = listed(name, capsys, "sampling")
    assert main(["dlq", "replay", letter]) == 0
    shown = capsys.readouterr().out
    assert f"its try-on {name} has ended (failed)" in shown


def test_all_of_a_stage(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    decoding = request_topic("decoding")
    names = {f"try-{uuid.uuid4()}" for _ in range(3)}
    for name in names:
        put_aside(config, decoding, name, JsonCodec().encode("", {"request_id": name}))
    assert main(["dlq", "replay", "--all", "decoding"]) == 0
    assert capsys.readouterr().out.count("sent decoding-requests-dlq/") == 3
    found = {decoded(JsonCodec(), record)["request_id"] for record in read_to_the_end(config, decoding)}
    assert found == names


def test_one_that_can_not_be_read_keeps_no_other_back(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    put_aside(config, TRYON_REQUESTS, "broken", b"no JSON")
    put_aside(config, TRYON_REQUESTS, "whole", b"{}")
    assert main(["dlq", "replay", "--all", "tryon"]) == 1
    shown = capsys.readouterr()
    assert "can't be sent again: A message on tryon-requests-dlq is no JSON" in shown.err
    assert " as the try-on " in shown.out


def test_names_that_are_none(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["dlq", "show", "sampling"])
    assert "vtryon dlq list" in capsys.readouterr().err
    assert main(["dlq", "show", "text-encoder-requests-dlq/0/99"]) == 1
    assert "There is no dead letter text-encoder-requests-dlq/0/99" in capsys.readouterr().err
    assert main(["dlq", "list", "text_encoder"]) == 0
    assert capsys.readouterr().out == "No dead letters.\n"
