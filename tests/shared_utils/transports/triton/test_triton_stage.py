"""A stage whose work Triton does answers like the stage itself."""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from sampling.models import SamplingRequest, SamplingResponse
from sampling.service import Sampling
from shared_utils.comfy.loader import VAE, Models
from shared_utils.comfy.progress import Step, Watcher, unwatched
from shared_utils.contracts import Failure, Success
from shared_utils.errors import CancelledError, VAEModelNotFoundError
from shared_utils.stage import answer
from shared_utils.transports.rest.codes import errors_of
from shared_utils.transports.triton import stage as stage_module
from shared_utils.transports.triton.errors import TritonUnavailableError
from shared_utils.transports.triton.settings import TritonSettings
from shared_utils.transports.triton.stage import TritonStage
from shared_utils.transports.triton.wire import TEXT, Value
from tests.shared_utils.transports.triton.triton_stand_in import (
    SOON,
    Asked,
    Model,
    RefusedError,
    TellingNews,
    TritonStandIn,
    Values,
    triton,
)

FIELDS: dict[str, Any] = {
    "request_id": "r1",
    "correlation_id": "c1",
    "positive_encoding": "/there/positive.pt",
    "latent_image": "latent.pt",
    "seed": 2**64 - 1,
    "cfg": 2.5,
}


def sampled() -> SamplingResponse:
    fields = {
        "request_id": "r1",
        "correlation_id": "c1",
        "sampled_latent_path": "/there/sampled.pt",
        "sampled_latent_shape": [1, 16, 1, 8, 8],
        "metadata": {
            **{name: field.default for name, field in SamplingRequest.model_fields.items() if name != "timestamp"},
            "seed": 7,
            "latent_shape": [1],
            "processing_time_ms": 5,
        },
    }
    return SamplingResponse.model_validate(fields)


ANSWER = sampled().model_dump_json()


def done(_: Asked) -> Values:
    return {"sampling": Value.of(TEXT, ANSWER)}


@contextmanager
def staged(seconds: float = SOON, **models: Model) -> Iterator[tuple[TritonStandIn, TritonStage]]:
    """A stage on a Triton with these models."""
    options = Sampling.options_type()
    with triton(**models) as server:
        settings = TritonSettings(triton_url=server.address, triton_timeout_seconds=seconds, triton_ready_seconds=0)
        yield server, TritonStage(Sampling(options, Models(options)), settings)


def ask(stage: TritonStage, watcher: Watcher = unwatched, **changes: Any) -> Success | Failure:
    return answer(stage, FIELDS | changes, watcher)


def test_it_looks_like_the_stage() -> None:
    with staged() as (_, stage):
        assert (stage.name, stage.verb, stage.request_type) == ("sampling", "sample", SamplingRequest)
        assert stage.models.loaded() == []
        with pytest.raises(VAEModelNotFoundError, match="Triton knows"):
            stage.models.find(VAE, "vae.safetensors")


def test_what_it_can_answer_over_http() -> None:
    with staged() as (_, stage):
        assert {"SAMPLING_FAILED", "TRITON_UNAVAILABLE", "TRITON_TIMEOUT", "TRITON_FAILED"} <= errors_of(stage).keys()


def test_all_fields_go_there_and_the_answer_comes_back(tmp_path: Path) -> None:
    with staged(sampling=done) as (server, stage):
        assert ask(stage) == SamplingResponse.model_validate_json(ANSWER)
        (asked,) = server.of("sampling")
    assert asked.request_id.startswith("r1.")
    assert asked.outputs == ["sampling"]
    parsed = SamplingRequest.model_validate(asked.inputs)
    assert parsed.model_dump(exclude={"timestamp"}) == SamplingRequest.model_validate(
        # What is relative is relative to here.
        FIELDS | {"latent_image": str(tmp_path / "latent.pt"), "output_dir": str(tmp_path / "output")}
    ).model_dump(exclude={"timestamp"})
    assert "negative_encoding" not in asked.inputs


def test_the_process_that_hosts_all_is_asked_itself() -> None:
    """Through the ensemble in front of it, it would not hear that nobody waits any more."""
    with staged(sampling=done, vtryon_stages=done) as (server, stage):
        assert isinstance(ask(stage), SamplingResponse)
        assert server.of("vtryon_stages")
        assert not server.of("sampling")


def test_progress_is_told() -> None:
    news, go = TellingNews(), threading.Event()
    heard: list[Step] = []

    def work(asked: Asked) -> Values:
        news.tell("sampling", "UNETLoader")
        assert go.wait(SOON)
        news.tell("sampling", "KSampler", 1, 4, b64encode(b"jpeg").decode())
        return done(asked)

    def watch(step: Step) -> None:
        heard.append(step)
        if step.node == "UNETLoader":
            go.set()

    with staged(sampling=work, vtryon_news=news) as (server, stage):
        assert isinstance(ask(stage, watch), SamplingResponse)
        names = {each.inputs["request_id"] for each in server.of("vtryon_news")}
        assert names == {each.request_id for each in server.of("sampling")}
    assert [step for step in heard if step != Step("Triton")] == [Step("UNETLoader"), Step("KSampler", 1, 4, b"jpeg")]
    assert news.stopped == []


def test_who_watches_hears_something_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not stop a job that waits, or that is long at one node."""
    monkeypatch.setattr(stage_module, "STILL_SECONDS", 0.0)
    news, go = TellingNews(), threading.Event()
    heard: list[Step] = []

    def work(asked: Asked) -> Values:
        assert go.wait(SOON)
        return done(asked)

    def watch(step: Step) -> None:
        heard.append(step)
        if len(heard) == 2:
            news.tell("sampling", "KSampler", 1, 4, b64encode(b"jpeg").decode())
        if heard[-2:] == [Step("KSampler", 1, 4, b"jpeg"), Step("KSampler", 1, 4)]:
            go.set()

    with staged(sampling=work, vtryon_news=news) as (_, stage):
        assert isinstance(ask(stage, watch), SamplingResponse)
    assert heard[:2] == [Step("Triton"), Step("Triton")]


def test_a_job_is_stopped() -> None:
    news = TellingNews()

    def work(asked: Asked) -> Values:
        assert asked.context.add_callback(news.gone.set)
        assert news.gone.wait(SOON)
        return {}

    def watch(step: Step) -> None:
        raise CancelledError("Nobody waits.")

    with staged(sampling=work, vtryon_news=news) as (server, stage):
        failure = ask(stage, watch)
        assert news.gone.wait(SOON)
    assert isinstance(failure, Failure)
    assert (failure.error_code, failure.error_message) == ("CANCELLED", "Nobody waits.")
    assert news.stopped == [each.request_id for each in server.of("sampling")]


def test_a_job_that_takes_too_long_is_stopped() -> None:
    news = TellingNews()

    def work(asked: Asked) -> Values:
        assert asked.context.add_callback(news.gone.set)
        assert news.gone.wait(SOON)
        return {}

    with staged(0.3, sampling=work, vtryon_news=news) as (server, stage):
        failure = ask(stage)
    assert isinstance(failure, Failure)
    assert (failure.error_code, failure.retryable) == ("TRITON_TIMEOUT", True)
    assert news.stopped == [each.request_id for each in server.of("sampling")]


@pytest.mark.parametrize("news", [None, lambda _: {}, lambda _: {"steps": Value.of(TEXT, "{}", "[1]", "junk", "1")}])
def test_without_news_it_works_too(news: Any) -> None:
    with staged(sampling=done) as (server, stage):
        server.models["vtryon_news"] = news
        if news is None:
            del server.models["vtryon_news"]
        assert isinstance(ask(stage), SamplingResponse)


@pytest.mark.parametrize(
    ("status", "words", "code", "retryable"),
    [
        ("NOT_FOUND", "INPUT_TENSOR_NOT_FOUND: no file x", "INPUT_TENSOR_NOT_FOUND", False),
        ("UNAVAILABLE", "OUT_OF_MEMORY: full", "OUT_OF_MEMORY", True),
        ("INTERNAL", "SAMPLING_FAILED: broken", "SAMPLING_FAILED", False),
        ("UNAVAILABLE", "Exceeds maximum queue size", "TRITON_UNAVAILABLE", True),
        ("INTERNAL", "something", "TRITON_FAILED", False),
    ],
)
def test_failures(status: str, words: str, code: str, retryable: bool) -> None:
    def refuse(_: Asked) -> Values:
        raise RefusedError(grpc.StatusCode[status], words)

    with staged(sampling=refuse) as (_, stage):
        failure = ask(stage)
    assert isinstance(failure, Failure)
    assert (failure.error_code, failure.retryable) == (code, retryable)
    assert (failure.request_id, failure.correlation_id) == ("r1", "c1")


@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"sampling": Value.of("BOOL", True)},
        {"sampling": Value.of(TEXT)},
        {"sampling": Value.of(TEXT, "junk")},
        {"sampling": Value.of(TEXT, json.dumps({"status": "success", "request_id": "r1"}))},
    ],
    ids=["none", "no text", "empty", "junk", "half of it"],
)
def test_an_answer_that_can_not_be_read(outputs: Values) -> None:
    with staged(sampling=lambda _: outputs) as (_, stage):
        failure = ask(stage)
    assert isinstance(failure, Failure)
    assert (failure.error_code, failure.retryable) == ("TRITON_FAILED", False)
    assert "it is of another version" in failure.error_message


def test_a_triton_without_the_model() -> None:
    with staged() as (_, stage):
        failure = ask(stage)
        assert isinstance(failure, Failure)
        assert (failure.error_code, failure.retryable) == ("TRITON_UNAVAILABLE", True)
        with pytest.raises(TritonUnavailableError, match="The model sampling of Triton"):
            stage.warm_up()


def test_it_is_warm_when_triton_is() -> None:
    with staged(sampling=done) as (_, stage):
        stage.warm_up()


@pytest.mark.parametrize("url", ["http://there:8001", "there", "there:", "there:8001/v2", ":8001"])
def test_an_address_that_is_none(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TRITON_URL", url)
    with pytest.raises(SystemExit, match="2"):
        TritonSettings.read()
    assert f"TRITON_URL='{url}' is not usable: Value error, give host:port" in capsys.readouterr().err


def test_an_address() -> None:
    assert TritonSettings(triton_url="grpc://there:9").triton_url == "there:9"
