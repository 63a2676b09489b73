"""The OpenAPI of a stage says what the stage really answers: schemathesis looks for what would prove it wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from shared_utils import errors
from shared_utils.contracts import Failure
from shared_utils.errors import VtryonError
from shared_utils.transports.rest import app
from shared_utils.transports.rest.openapi import document
from shared_utils.transports.rest.statuses import STATUSES, status_of
from tests.conftest import Stages
from tests.shared_utils.transports.rest.door import Door, opened
from tests.shared_utils.transports.rest.fuzzing import Findings, fuzz
from tests.shared_utils.transports.rest.stand_in import StandIn

VERBS = {"latent_encoder": "encode", "text_encoder": "encode", "sampling": "sample", "decoding": "decode"}
each_stage = pytest.mark.parametrize("name", VERBS)


def fuzzed(door: Door, examples: int) -> Findings:
    return fuzz(f"{door.url}/openapi.json", examples)


def work(described: dict[str, Any], name: str) -> dict[str, Any]:
    operation: dict[str, Any] = described["paths"][f"/v1/{VERBS[name]}"]["post"]
    return operation


def example(described: dict[str, Any], name: str) -> dict[str, Any]:
    fields: dict[str, Any] = work(described, name)["requestBody"]["content"]["application/json"]["example"]
    return fields


# ---- schemathesis


def test_nothing_undocumented_in_a_stand_in() -> None:
    with opened(StandIn()) as door:
        found = fuzzed(door, examples=100)
    assert not found.problems, found.problems[:10]
    assert {200, 405, 415, 422} <= found.statuses["POST /v1/do"]


def test_nothing_undocumented_in_decoding(make_stages: Callable[..., Stages], model_dir: Path, tmp_path: Path) -> None:
    """On its models, and kept to a folder of its own: whoever fuzzes names any."""
    decoding = make_stages(model_dir=model_dir, storage_roots=[tmp_path]).decoding
    latent = tmp_path / example(document(decoding), "decoding")["latent_path"]
    latent.parent.mkdir(exist_ok=True)
    torch.save(torch.zeros(1, 16, 1, 8, 8), latent)
    with opened(decoding) as door:
        found = fuzzed(door, examples=60)
    assert not found.problems, found.problems[:10]
    assert {200, 403, 405, 415, 422} <= found.statuses["POST /v1/decode"]


def test_it_would_find_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = StandIn()
    monkeypatch.setattr(stage, "run", lambda request: 1 / 0)
    with opened(stage) as door:
        found = fuzzed(door, examples=5)
    assert any("not_a_server_error" in problem for problem in found.problems)


def test_it_would_find_a_status_that_is_not_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(stage: Any) -> Any:
        described = document(stage)
        del described["paths"]["/v1/do"]["post"]["responses"]["422"]
        return described

    monkeypatch.setattr(app, "document", forgetful)
    with opened(StandIn()) as door:
        found = fuzzed(door, examples=5)
    assert any("status_code_conformance" in problem for problem in found.problems)


# ---- what it says


@each_stage
def test_every_error_is_under_its_status(stages: Stages, name: str) -> None:
    answers = work(document(getattr(stages, name)), name)["responses"]
    documented = {
        code: int(status)
        for status, answer in answers.items()
        if status != "200"
        for code in answer["content"]["application/json"]["schema"]["properties"]["error_code"]["enum"]
    }
    assert documented == {code: status_of(code) for code in documented}
    kinds = (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VtryonError))
    every = {kind.code for kind in kinds}
    assert {"INVALID_REQUEST", "BUSY", "REQUEST_TOO_LARGE", "REQUEST_TOO_SLOW", "INTERNAL_ERROR"} <= documented.keys()
    own = {"latent_encoder": "VAE", "text_encoder": "CLIP", "sampling": "UNET", "decoding": "VAE"}[name]
    assert {f"{own}_MODEL_NOT_FOUND", f"{own}_MODEL_INVALID"} <= documented.keys()
    foreign = {"CLIP_MODEL_NOT_FOUND", "UNET_MODEL_NOT_FOUND"} & every - {f"{own}_MODEL_NOT_FOUND"}
    assert not foreign & documented.keys()


@each_stage
def test_every_example_is_one(stages: Stages, name: str) -> None:
    described, stage = document(getattr(stages, name)), getattr(stages, name)
    stage.request_type.model_validate(example(described, name))
    for status, answer in work(described, name)["responses"].items():
        for code, shown in answer["content"]["application/json"].get("examples", {}).items():
            assert Failure.model_validate(shown["value"]).error_code == code
            assert str(status_of(code)) == status


@each_stage
def test_the_request_as_this_process_reads_it(make_stages: Callable[..., Stages], name: str) -> None:
    """With the defaults of its environment; null where a field may be left out; and no other field."""
    stage = getattr(make_stages(output_dir="/from/the/environment"), name)
    schema = document(stage)["components"]["schemas"][stage.request_type.__name__]
    assert schema["additionalProperties"] is False
    assert schema["properties"].keys() == stage.request_type.model_fields.keys()
    assert schema["properties"]["output_dir"]["default"] == "/from/the/environment"
    for field, described in schema["properties"].items():
        assert ({"type": "null"} in described.get("anyOf", [])) == (field not in schema["required"]), field


def test_statuses() -> None:
    assert all(400 <= status < 600 for status in STATUSES.values())
    assert [status_of(code) for code in ("INVALID_REQUEST", "PATH_NOT_ALLOWED", "BUSY")] == [422, 403, 503]
    assert status_of("VAE_MODEL_INVALID") == status_of("WHAT_NOBODY_HAS_HEARD_OF") == 500
