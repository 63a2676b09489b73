"""`vtryon submit`: what is sent, and what is refused before anything is."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import submit
from orchestrator.cli.main import main
from orchestrator.cli.submit import complete
from orchestrator.cli.watching import Course, Listener
from orchestrator.config import Config
from orchestrator.models import TryOnRequest
from shared_utils.errors import ImageNotFoundError, InvalidRequestError
from shared_utils.transports.kafka.messages import CORRELATION_ID, JsonCodec, decoded, headers_of
from shared_utils.transports.kafka.reading import read_to_the_end
from shared_utils.transports.kafka.topics import TRYON_REQUESTS
from tests.orchestrator.cli.orchestrating import failed, succeeded, tell


@pytest.fixture
def pictures(examples: Path) -> list[str]:
    return ["--person", str(examples / "person_masked.png"), "--garment", str(examples / "garment.png")]


def sent(config: Config, name: str) -> list[dict[str, Any]]:
    return [
        decoded(JsonCodec(), record)
        for record in read_to_the_end(config, TRYON_REQUESTS)
        if headers_of(record).get(CORRELATION_ID) == name
    ]


def test_every_field_is_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["submit", "--help"])
    shown = capsys.readouterr().out
    short = {"person_image_path": "person", "garment_image_path": "garment", "mask_image_path": "mask"}
    for name in TryOnRequest.model_fields:
        assert f"--{short.get(name, name).replace('_', '-')} " in shown


def test_it_prints_the_id_and_nothing_else(
    config: Config, pictures: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["submit", *pictures, "--megapixels", "0.25", "--output-dir", "pictures"]) == 0
    name = capsys.readouterr().out.strip()
    (request,) = sent(config, name)
    assert request.pop("request_id")
    assert request.pop("timestamp")
    assert request == {
        "correlation_id": name,
        "person_image_path": pictures[1],
        "garment_image_path": pictures[3],
        "megapixels": 0.25,
        "output_dir": str(tmp_path / "pictures"),
    }


def test_ids_as_json(config: Config, pictures: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", *pictures, "--json", "--request-id", "mine"]) == 0
    ids = json.loads(capsys.readouterr().out)
    assert ids["request_id"] == "mine"
    assert len(sent(config, ids["correlation_id"])) == 1


def test_watched_to_its_end(
    config: Config, pictures: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The orchestrator's part is played as soon as the request has been sent."""

    def send_and_end(settings: Config, codec: JsonCodec, request: dict[str, Any]) -> None:
        name = str(request[CORRELATION_ID])
        tell(config, failed(name) if request.get("seed") == 13 else succeeded(name))

    monkeypatch.setattr(submit, "send_request", send_and_end)
    assert main(["submit", *pictures, "--watch"]) == 0
    shown = capsys.readouterr()
    assert "The picture: /out/tryon.png" in shown.out
    assert "sampling        done" in shown.err
    assert main(["submit", *pictures, "--watch", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["image_path"] == "/out/tryon.png"
    assert main(["submit", *pictures, "--watch", "--seed", "13"]) == 1
    assert "in text_encoder: UNET_MODEL_NOT_FOUND: No diffusion model x." in capsys.readouterr().err


def test_ctrl_c_leaves_it_running(
    config: Config, pictures: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(listener: Listener, course: Course) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(submit, "watch", interrupted)
    assert main(["submit", *pictures, "--watch", "--correlation-id", "left-alone"]) == submit.STOPPED
    shown = capsys.readouterr().err
    assert "vtryon status left-alone" in shown
    assert "vtryon cancel left-alone" in shown
    assert len(sent(config, "left-alone")) == 1


def test_a_name_that_is_taken(config: Config, pictures: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    tell(config, succeeded("taken"))
    assert main(["submit", *pictures, "--correlation-id", "taken"]) == 1
    assert "There is a try-on taken already: it is succeeded" in capsys.readouterr().err
    assert sent(config, "taken") == []


def test_pictures_that_are_not_here(examples: Path) -> None:
    fields = {"person_image_path": str(examples / "garment.png"), "garment_image_path": "nobody.png"}
    with pytest.raises(ImageNotFoundError, match=r"nobody\.png on this machine \(--garment\)"):
        complete(fields, Config())


def test_values_that_are_wrong(examples: Path) -> None:
    picture = str(examples / "garment.png")
    fields = {"person_image_path": picture, "garment_image_path": picture, "steps": "0", "seed": "x"}
    with pytest.raises(InvalidRequestError, match=r"(?s)(?=.*steps='0')(?=.*seed='x')"):
        complete(fields, Config())


def test_no_broker(pictures: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("shared_utils.transports.kafka.topics.TIMEOUT", 0.1)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert main(["submit", *pictures]) == 1
    assert "vtryon: Kafka at 127.0.0.1:1" in capsys.readouterr().err


def test_usage_that_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["submit", "--person", "x.png"])
    assert "--garment" in capsys.readouterr().err
