"""The same verb on a Triton that stands in."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from orchestrator.cli import submit
from orchestrator.cli.followed import Followed
from orchestrator.cli.main import main
from shared_utils.signals import STOPPED
from shared_utils.transports.triton.wire import TEXT, Value
from tests.orchestrator.gateway.drawn import picture
from tests.shared_utils.transports.triton.triton_stand_in import (
    SOON,
    Asked,
    RefusedError,
    TellingNews,
    TritonStandIn,
    Values,
    triton,
)

STEPS = ("latent_encoder", "text_encoder", "sampling", "decoding")
MADE = picture(colour="red")


def response(step: str) -> Value:
    """What is read of it, and something that is not."""
    own: dict[str, dict[str, Any]] = {"sampling": {"seed": 7}, "decoding": {"output_format": "webp"}}
    metadata = {"processing_time_ms": 1500, "miniature": step == "sampling", "models": [], **own.get(step, {})}
    return Value.of(TEXT, json.dumps({"timestamp": "2026-11-21T09:02:53.999Z", "metadata": metadata, "width": 8}))


def done(_: Asked) -> Values:
    return {"image": Value.data(MADE), **{step: response(step) for step in STEPS}}


@pytest.fixture
def server() -> Iterator[TritonStandIn]:
    with triton(vtryon_pipeline=done) as made:
        yield made


@pytest.fixture
def asked(server: TritonStandIn, tmp_path: Path) -> list[str]:
    """What to ask with: one person, two garments."""
    for name in ("person", "striped", "plain"):
        (tmp_path / f"{name}.png").write_bytes(picture() + name.encode())
    return ["submit", "--triton", server.address, "--person", "person.png", "--garment", "striped.png", "plain.png"]


def inputs(server: TritonStandIn) -> list[dict[str, Any]]:
    return [each.inputs for each in server.of("vtryon_pipeline")]


def test_pictures_go_and_come(
    server: TritonStandIn, asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*asked, "--output", "done", "--seed", "7", "--steps", "2"]) == 0
    shown = capsys.readouterr()
    assert [row.split()[:2] for row in shown.out.strip().splitlines()[1:]] == [
        ["striped.png", "succeeded"],
        ["plain.png", "succeeded"],
    ]
    assert "done/striped.webp" in shown.out
    assert {file.name: file.read_bytes() for file in (tmp_path / "done").iterdir()} == {
        "striped.webp": MADE,
        "plain.webp": MADE,
    }
    first, second = inputs(server)
    assert first["person"] == second["person"] == (tmp_path / "person.png").read_bytes()
    assert (first["garment"], second["garment"]) == tuple(
        (tmp_path / f"{name}.png").read_bytes() for name in ("striped", "plain")
    )
    assert first["request_id"] != second["request_id"]
    assert {name: value for name, value in first.items() if name not in ("person", "garment")} == {
        "request_id": first["request_id"],
        "correlation_id": first["correlation_id"],
        "timestamp": first["timestamp"],
        "seed": 7,
        "steps": 2,
        "cfg": 1.0,
        "sampler_name": "euler",
        "encode_negative": False,
        "encode_content": False,
    }
    (one, _) = server.of("vtryon_pipeline")
    assert one.outputs == ["image", *STEPS]


def test_one_with_all_that_can_be_said(
    server: TritonStandIn, asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--cfg", "2.5", "--mask", "plain.png", "--request-id", "mine", "--correlation-id", "ours"]
    assert main([*asked[:-1], *flags, "--output-dir", "/kept", "--json"]) == 0
    shown = capsys.readouterr()
    assert "try-on ours  striped.png" in shown.err
    view = json.loads(shown.out)
    assert (view["id"], view["request_id"], view["state"], view["seed"]) == ("ours", "mine", "succeeded", 7)
    assert view["miniature"] is True
    assert view["image_path"] == "output/striped.webp"
    assert (tmp_path / view["image_path"]).read_bytes() == MADE
    assert [step["processing_time_ms"] for step in view["steps"]] == [1500] * 4
    (sent,) = inputs(server)
    assert sent["mask"] == (tmp_path / "plain.png").read_bytes()
    assert sent["encode_negative"] is True
    assert (sent["output_dir"], sent["request_id"], sent["correlation_id"]) == ("/kept", "mine", "ours")


def test_progress_is_shown(server: TritonStandIn, asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    news = TellingNews()
    server.models["vtryon_news"] = news

    def work(given: Asked) -> Values:
        news.tell("latent_encoder", "VAEEncode")
        news.tell("text_encoder", "TextEncodeQwenImageEditPlus")
        news.tell("ironing", "Iron")
        wait_until_heard(server, 3)
        news.tell("sampling", "KSampler", 1, 2)
        wait_until_heard(server, 4)
        return done(given)

    server.models["vtryon_pipeline"] = work
    assert main(asked[:-1]) == 0
    shown = capsys.readouterr()
    lines = [" ".join(line.split()[:3]) for line in shown.err.splitlines()]
    for line in ("latent_encoder VAEEncode", "latent_encoder finished", "sampling KSampler 1/2", "sampling done"):
        assert any(each.startswith(line) for each in lines), (line, shown.err)
    assert "The picture: output/striped.webp\nThe seed: 7" in shown.out
    assert news.stopped == []


def wait_until_heard(server: TritonStandIn, lines: int) -> None:
    """So many have been fetched: they are not asked for again."""
    with server.changed:
        assert server.changed.wait_for(
            lambda: any(each.inputs.get("after") == lines for each in server.of("vtryon_news")), SOON
        )


def test_one_of_two_fails(server: TritonStandIn, asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def work(given: Asked) -> Values:
        if given.inputs["garment"].endswith(b"striped"):
            words = "in ensemble 'vtryon_pipeline', IMAGE_INVALID: the garment is damaged"
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, words)
        return done(given)

    server.models["vtryon_pipeline"] = work
    assert main(asked) == 1
    shown = capsys.readouterr()
    failed, succeeded = shown.out.strip().splitlines()[1:]
    assert failed.split()[:2] == ["striped.png", "failed"]
    assert "IMAGE_INVALID: the garment is damaged" in failed
    assert succeeded.split()[:2] == ["plain.png", "succeeded"]
    assert main([*asked[:-1], "--json"]) == 1
    view = json.loads(capsys.readouterr().out)
    assert (view["state"], view["problem"]["code"], view["problem"]["retryable"]) == ("failed", "IMAGE_INVALID", False)
    assert {step["state"] for step in view["steps"]} == {"stopped"}


@pytest.mark.parametrize(
    "outputs",
    [{}, {"image": Value.data(MADE)}, {**done(None), "decoding": Value.of(TEXT, "junk")}],  # type: ignore[arg-type]
    ids=["nothing", "only the picture", "junk"],
)
def test_an_answer_that_can_not_be_read(
    outputs: Values, server: TritonStandIn, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    server.models["vtryon_pipeline"] = lambda _: outputs
    assert main(asked[:-1]) == 1
    assert "TRITON_FAILED: The answer can't be read" in capsys.readouterr().err


def test_ctrl_c_stops_it(
    server: TritonStandIn, asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    news = TellingNews()

    def work(given: Asked) -> Values:
        assert given.context.add_callback(news.gone.set)
        assert news.gone.wait(SOON)
        return {}

    def interrupted(tryons: Sequence[Followed], moments: Iterator[None]) -> None:
        next(moments)
        raise KeyboardInterrupt

    server.models |= {"vtryon_news": news, "vtryon_pipeline": work}
    monkeypatch.setattr(submit, "watch", interrupted)
    assert main(asked) == STOPPED
    assert news.gone.wait(SOON)
    (one,) = server.of("vtryon_pipeline")
    assert news.stopped == [one.request_id]
    assert "2 try-ons were stopped, or not begun." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--steps", "0"], "vtryon: steps='0' is not usable"),
        (["--person", "nobody.png"], "No picture nobody.png on this machine (--person)"),
        (["--callback-url", "http://me"], "--callback-url is for a gateway"),
        (["--server", "http://there:1"], "--server and --triton are two ways to ask"),
        (["--request-id", "one"], "--request-id is for one garment"),
    ],
)
def test_what_is_refused(
    more: list[str], said: str, server: TritonStandIn, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*asked, *more]) == 1
    assert said in capsys.readouterr().err
    assert server.of("vtryon_pipeline") == []


def test_nobody_to_ask(server: TritonStandIn, asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    del server.models["vtryon_pipeline"]
    assert main(asked) == 1
    assert "has no model vtryon_pipeline that is ready" in capsys.readouterr().err
    with triton() as gone:
        asked[2] = gone.address
    assert main(asked) == 1
    assert f"Nobody answers at {asked[2]}" in capsys.readouterr().err
    asked[2] = "http://there:8001"
    with pytest.raises(SystemExit, match="2"):
        main(asked)
    assert "give host:port" in capsys.readouterr().err
