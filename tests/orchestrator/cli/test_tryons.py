"""`vtryon status` and `vtryon cancel`, in every state that a try-on can be in."""

import json
import uuid

import pytest

from orchestrator.cli.main import main
from orchestrator.config import Config
from orchestrator.models import TryOnFailure
from shared_utils.transports.kafka.messages import CORRELATION_ID, JsonCodec, decoded
from shared_utils.transports.kafka.reading import read_to_the_end
from shared_utils.transports.kafka.sending import Outgoing, send
from shared_utils.transports.kafka.topics import TRYON_CANCELS, TRYON_REQUESTS, TRYON_RESPONSES
from tests.orchestrator.cli.orchestrating import PARTITION, failed, succeeded, tell, tryon


@pytest.fixture
def name() -> str:
    return f"try-{uuid.uuid4()}"


def cancelled_on(config: Config, name: str) -> list[int | None]:
    """The partitions on which it was."""
    return [
        record.partition()
        for record in read_to_the_end(config, TRYON_CANCELS)
        if decoded(JsonCodec(), record)[CORRELATION_ID] == name and record.key() == name.encode()
    ]


def test_unknown(config: Config, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", name]) == 1
    assert main(["cancel", name]) == 1
    assert capsys.readouterr().err.count(f"unknown  {name}") == 2
    assert cancelled_on(config, name) == []


def test_waiting(config: Config, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    send(config, Outgoing(TRYON_REQUESTS, name, b"no JSON, and passed over", partition=3))
    send(config, Outgoing(TRYON_REQUESTS, name, JsonCodec().encode("", {CORRELATION_ID: name}), partition=3))
    assert main(["status", name]) == 0
    assert "state    waiting" in capsys.readouterr().out
    assert main(["status", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"state": "waiting"}
    assert main(["cancel", name]) == 0
    assert cancelled_on(config, name) == [3]


def test_running(config: Config, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    tell(config, tryon(name))
    assert main(["status", name]) == 0
    state, rows = capsys.readouterr().out.split("\n\n")
    assert "state    running" in state
    assert [row.split()[:2] for row in rows.splitlines()[1:]] == [
        ["latent_encoder", "running"],
        ["text_encoder", "running"],
        ["sampling", "waiting"],
        ["decoding", "waiting"],
    ]
    assert main(["cancel", name]) == 0
    assert cancelled_on(config, name) == [PARTITION]


def test_succeeded(config: Config, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    tell(config, tryon(name))
    tell(config, succeeded(name))
    assert main(["status", name]) == 0
    shown = capsys.readouterr().out
    assert "state    succeeded" in shown
    assert "picture  /out/tryon.png" in shown
    assert shown.count(" done ") == 4
    assert main(["status", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["request"]["seed"] == 7
    assert main(["cancel", name]) == 1
    assert f"{name} has ended already: succeeded" in capsys.readouterr().err
    assert cancelled_on(config, name) == []


def test_failed(config: Config, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    tell(config, failed(name))
    assert main(["status", name]) == 0
    shown = capsys.readouterr().out
    assert "problem  UNET_MODEL_NOT_FOUND in text_encoder: No diffusion model x." in shown
    assert [row.split()[1] for row in shown.splitlines()[-4:]] == ["stopped", "failed", "not", "not"]


def test_refused(config: Config, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = TryOnFailure(
        request_id=name, correlation_id=name, error_code="INVALID_REQUEST", error_message="steps=0", retryable=False
    )
    send(config, Outgoing(TRYON_RESPONSES, name, JsonCodec().encode(TRYON_RESPONSES, wrong)))
    assert main(["status", name]) == 0
    shown = capsys.readouterr().out
    assert "state    refused" in shown
    assert "INVALID_REQUEST: steps=0" in shown
    assert main(["cancel", name]) == 1


def test_list(config: Config, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused = TryOnFailure(
        request_id=f"{name}-refused", error_code="INVALID_REQUEST", error_message="steps=0", retryable=False
    )
    tell(config, tryon(f"{name}-ended"))
    tell(config, succeeded(f"{name}-ended"))
    send(config, Outgoing(TRYON_RESPONSES, name, JsonCodec().encode(TRYON_RESPONSES, refused)))
    tell(config, tryon(f"{name}-begun"))
    request = JsonCodec().encode("", {CORRELATION_ID: f"{name}-asked"})
    send(config, Outgoing(TRYON_REQUESTS, name, request, partition=3))
    assert main(["list", "--limit", "1000"]) == 0
    head, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert head == ["state", "since", "try-on"]
    assert [[row[0], row[-1]] for row in rows if name in row[-1]] == [
        ["waiting", f"{name}-asked"],
        ["running", f"{name}-begun"],
        ["refused", f"{name}-refused"],
        ["succeeded", f"{name}-ended"],
    ]
    assert main(["list", "--state", "running", "--limit", "1"]) == 0
    assert [line.split()[::2] for line in capsys.readouterr().out.splitlines()[1:]] == [["running", f"{name}-begun"]]
    assert main(["list", "--state", "cancelled"]) == 0
    assert capsys.readouterr().out == "There are none.\n"


@pytest.mark.parametrize("wrong", [["--limit", "0"], ["--limit", "x"], ["--state", "lost"]])
def test_lists_that_are_none(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["list", *wrong])
    assert wrong[0] in capsys.readouterr().err
