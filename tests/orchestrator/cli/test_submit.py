"""`vtryon submit`: what is sent, and what is refused before anything is."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import submit
from orchestrator.cli.followed import Followed
from orchestrator.cli.main import main
from orchestrator.cli.over_kafka import complete
from orchestrator.config import Config
from orchestrator.models import TryOnRequest
from shared_utils.errors import ImageNotFoundError, InvalidRequestError
from shared_utils.signals import STOPPED
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


@pytest.fixture
def orchestrated(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The orchestrator's part is played as soon as requests have been sent; it is bad luck to be asked for seed 13, or
    for a garment called bad."""

    def send_and_end(settings: Config, codec: JsonCodec, requests: Sequence[Mapping[str, Any]]) -> None:
        for request in requests:
            name = str(request[CORRELATION_ID])
            bad = request.get("seed") == 13 or "bad" in request["garment_image_path"]
            tell(config, failed(name) if bad else succeeded(name))

    monkeypatch.setattr(submit, "send_requests", send_and_end)


@pytest.mark.usefixtures("orchestrated")
def test_watched_to_its_end(pictures: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", *pictures, "--watch"]) == 0
    shown = capsys.readouterr()
    assert "The picture: /out/tryon.png" in shown.out
    assert "sampling        done" in shown.err
    assert main(["submit", *pictures, "--watch", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["image_path"] == "/out/tryon.png"
    assert main(["submit", *pictures, "--watch", "--seed", "13"]) == 1
    shown = capsys.readouterr()
    assert "in text_encoder: UNET_MODEL_NOT_FOUND: No diffusion model x." in shown.err
    assert "vtryon dlq list tryon" in shown.err


@pytest.fixture
def garments(tmp_path: Path, examples: Path) -> list[str]:
    """Three, of which one is bad."""
    files = [tmp_path / f"{name}.png" for name in ("striped", "bad", "plain")]
    for file in files:
        file.write_bytes((examples / "garment.png").read_bytes())
    return [str(file) for file in files]


def test_many_at_once(
    config: Config, pictures: list[str], garments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", *pictures[:3], *garments]) == 0
    names = capsys.readouterr().out.split()
    assert [sent(config, name)[0]["garment_image_path"] for name in names] == garments
    assert main(["submit", *pictures[:3], *garments, "--json"]) == 0
    ids = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len({each["correlation_id"] for each in ids} | {each["request_id"] for each in ids}) == 6


@pytest.mark.usefixtures("orchestrated")
def test_many_watched(pictures: list[str], garments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", *pictures[:3], *garments, "--watch"]) == 1
    shown = capsys.readouterr()
    head, *rows = shown.out.strip().splitlines()
    assert head.split()[:3] == ["garment", "state", "time"]
    assert [row.split()[:2] for row in rows] == [
        ["striped.png", "succeeded"],
        ["bad.png", "failed"],
        ["plain.png", "succeeded"],
    ]
    assert "UNET_MODEL_NOT_FOUND: No diffusion model x." in rows[1]
    assert "(3 of 3)" in shown.err
    assert main(["submit", *pictures[:3], *garments, "--watch", "--json"]) == 1
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["status"] for answer in answers] == ["success", "error", "success"]


@pytest.mark.parametrize("flag", ["--correlation-id", "--request-id", "--output-filename"])
def test_what_many_can_not_share(
    pictures: list[str], garments: list[str], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", *pictures[:3], *garments, flag, "one"]) == 1
    assert f"vtryon: {flag} is for one garment" in capsys.readouterr().err


def test_no_download_over_kafka(pictures: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", *pictures, "--watch", "--output", "here"]) == 1
    assert "it needs --server and --watch" in capsys.readouterr().err


def test_ctrl_c_leaves_it_running(
    config: Config,
    pictures: list[str],
    garments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(tryons: Sequence[Followed], moments: Iterator[None]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(submit, "watch", interrupted)
    assert main(["submit", *pictures, "--watch", "--correlation-id", "left-alone"]) == STOPPED
    shown = capsys.readouterr().err
    assert "vtryon status left-alone" in shown
    assert "vtryon cancel left-alone" in shown
    assert len(sent(config, "left-alone")) == 1
    assert main(["submit", *pictures[:3], *garments, "--watch"]) == STOPPED
    assert "3 try-ons go on." in capsys.readouterr().err


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
