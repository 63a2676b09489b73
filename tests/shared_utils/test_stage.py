"""A request is what was given, else what the environment says, else the default; and it always gets an answer."""

from pathlib import Path
from typing import Any

import pytest

from decoding.config import Config
from decoding.models import DecodingRequest
from decoding.service import Decoding
from shared_utils.comfy.loader import Models
from shared_utils.contracts import VAE, Failure, Success
from shared_utils.errors import InvalidRequestError
from shared_utils.stage import answer, parse


def test_given_then_environment_then_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUALITY", "70")
    monkeypatch.setenv("OUTPUT_DIR", "/from/the/environment")
    request = parse(DecodingRequest, Config.read(), {"latent_path": "x.pt", "output_dir": "given", "quality": None})
    assert (request.output_dir, request.quality, request.vae_model_name) == ("given", 70, VAE)


def test_the_env_file_counts_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("QUALITY=60\nVAE_MODEL_NAME=mine.safetensors\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("QUALITY", "70")
    config = Config.read()
    assert (config.quality, config.vae_model_name) == (70, "mine.safetensors")


def test_every_wrong_field_is_named() -> None:
    with pytest.raises(InvalidRequestError) as error:
        parse(DecodingRequest, Config(), {"quality": "much", "output_format": "gif"})
    for culprit in ("latent_path is missing.", "quality='much'", "output_format='gif'"):
        assert culprit in error.value.message


def test_times_are_read_in_both_notations_and_written_in_one() -> None:
    for given in (1731326400, "2024-11-11T12:00:00Z", "2024-11-11T13:00:00+01:00"):
        request = parse(DecodingRequest, Config(), {"latent_path": "x", "timestamp": given})
        assert request.model_dump(mode="json")["timestamp"] == "2024-11-11T12:00:00.000Z"


@pytest.fixture
def stage() -> Decoding:
    return Decoding(Config(), Models(Config()))


def test_a_request_without_ids_is_answered_with_one_of_its_own(stage: Decoding) -> None:
    response = answer(stage, {})
    assert isinstance(response, Failure)
    assert len(response.request_id) == 32
    assert response.correlation_id is None


def test_the_ids_come_back_even_if_they_are_what_is_wrong(stage: Decoding) -> None:
    response = answer(stage, {"latent_path": "x", "request_id": "../up", "correlation_id": "c 1"})
    assert isinstance(response, Failure)
    assert (response.error_code, response.request_id, response.correlation_id) == ("INVALID_REQUEST", "../up", "c 1")


def test_a_defect_is_answered_too(stage: Decoding, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(request: Any) -> Success:
        raise ZeroDivisionError("division by zero\nsecond line")

    monkeypatch.setattr(stage, "run", defect)
    response = answer(stage, {"latent_path": "x"})
    assert isinstance(response, Failure)
    assert response.error_code == "INTERNAL_ERROR"
    assert "second line" not in response.error_message
