"""Fields that are missing, of the wrong type or out of range are refused by name, before anything is loaded."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.bad_input.conftest import Answered, Refused
from tests.conftest import Stages

NAN, INF = float("nan"), float("inf")
SURROGATE = b"\xff".decode(errors="surrogateescape")
"""What a byte that is no UTF-8 becomes on the command line."""

NO_SIZE = [0, -1, 0.009, 16.1, 1e9, NAN, INF, -INF, "text", "", "nan", "inf", "1e9", "-1", [], {}]

WRONG: list[tuple[str, str, list[Any]]] = [
    ("latent_encoder", "megapixels", NO_SIZE),
    ("text_encoder", "megapixels", NO_SIZE),
    ("latent_encoder", "upscale_method", ["area", "LANCZOS", "", 3]),
    ("text_encoder", "upscale_method", ["area", "LANCZOS", "", 3]),
    ("text_encoder", "encode_negative", ["perhaps", 2, ""]),
    ("text_encoder", "prompt", ["x" * 8193, 3, "a\x00b", SURROGATE]),
    ("text_encoder", "negative_prompt", ["x" * 8193, 3, "a\x00b", SURROGATE]),
    ("sampling", "steps", [0, -1, 10_001, 1.5, NAN, INF, "many", ""]),
    ("sampling", "cfg", [NAN, INF, -0.1, 100.1, "nan", "text"]),
    ("sampling", "denoise", [1.5, -0.1, NAN, "text"]),
    ("sampling", "seed", [-1, 2**64, "-1", str(2**64), 1.5, NAN, "text"]),
    ("sampling", "shift", [-1, NAN, INF, 101, "text"]),
    ("sampling", "strength", [-1, NAN, INF, 101, "text"]),
    ("sampling", "lora_strength", [-101, 101, NAN, INF, "text"]),
    ("sampling", "sampler_name", ["x" * 101, 3, SURROGATE]),
    ("sampling", "scheduler", ["x" * 101, 3, SURROGATE]),
    ("decoding", "quality", [0, 101, -1, 50.5, NAN, "high", ""]),
    ("decoding", "output_format", ["gif", "PNG", "", 3]),
    ("decoding", "output_filename", [3, ["x.png"]]),
]


def every(table: list[tuple[str, str, list[Any]]]) -> list[Any]:
    return [
        pytest.param(stage, field, value, id=f"{stage}-{field}-{value!r:.20}")
        for stage, field, values in table
        for value in values
    ]


@pytest.mark.parametrize(("stage", "field", "value"), every(WRONG))
def test_wrong_value(stages: Stages, refused: Refused, stage: str, field: str, value: Any) -> None:
    refused(getattr(stages, stage), "INVALID_REQUEST", f"{field}=", repr(value)[:70], **{field: value})


@pytest.mark.parametrize(
    ("field", "value", "choices"),
    [
        ("sampler_name", "eulr", ["euler", "dpmpp_2m"]),
        ("sampler_name", "", ["euler", "dpmpp_2m"]),
        ("scheduler", "simpel", ["simple", "karras"]),
        ("scheduler", "euler", ["simple", "karras"]),
    ],
)
def test_unknown_choice(stages: Stages, refused: Refused, field: str, value: str, choices: list[str]) -> None:
    refused(stages.sampling, "INVALID_REQUEST", f"{field}={value!r}", *choices, **{field: value})


@pytest.mark.parametrize("method", ["lanczos", "nearest", "bilinear", "bicubic"])
def test_unknown_upscale_method_is_answered_with_the_known_ones(stages: Stages, refused: Refused, method: str) -> None:
    refused(stages.latent_encoder, "INVALID_REQUEST", method, upscale_method="area")


REQUIRED = [
    ("latent_encoder", "image_path"),
    ("text_encoder", "image1_path"),
    ("text_encoder", "image2_path"),
    ("sampling", "positive_encoding"),
    ("sampling", "latent_image"),
    ("decoding", "latent_path"),
]


@pytest.mark.parametrize(("stage", "field"), REQUIRED)
def test_missing_field(stages: Stages, refused: Refused, stage: str, field: str) -> None:
    refused(getattr(stages, stage), "INVALID_REQUEST", f"{field} is missing", **{field: None})


PATHS = [*REQUIRED, ("text_encoder", "image3_path"), ("sampling", "negative_encoding")]
PATHS += [(stage, "output_dir") for stage in ("latent_encoder", "text_encoder", "sampling", "decoding")]


@pytest.mark.parametrize("path", ["", "a\x00b", "a\nb", "\x1b[2J", "x" * 4097, SURROGATE, 3, ["x"]], ids=ascii)
@pytest.mark.parametrize(("stage", "field"), PATHS)
def test_no_path(stages: Stages, refused: Refused, stage: str, field: str, path: Any) -> None:
    refused(getattr(stages, stage), "INVALID_REQUEST", f"{field}=", **{field: path})


@pytest.mark.parametrize(
    "value",
    ["a/b", "/etc", "..", ".", "...", "-a", "a b", "a\\b", "a\n", "a\x00b", "ü", "x" * 129, SURROGATE],
    ids=ascii,
)
@pytest.mark.parametrize("field", ["request_id", "correlation_id"])
def test_no_identifier(stages: Stages, refused: Refused, field: str, value: str) -> None:
    """They become part of file names."""
    refused(stages.decoding, "INVALID_REQUEST", f"{field}=", **{field: value})


@pytest.mark.parametrize("value", ["yesterday", 1e300, [], "2026-13-01T00:00:00Z"])
def test_no_timestamp(stages: Stages, refused: Refused, value: Any) -> None:
    refused(stages.decoding, "INVALID_REQUEST", "timestamp=", timestamp=value)


def test_failure_says_which_request_it_is_about(stages: Stages, refused: Refused) -> None:
    before = datetime.now(UTC)
    failure = refused(stages.decoding, "INVALID_REQUEST", "quality", quality=0, request_id="r1", correlation_id="c1")
    assert (failure.request_id, failure.correlation_id) == ("r1", "c1")
    assert before <= failure.timestamp <= datetime.now(UTC)
    assert refused(stages.decoding, "INVALID_REQUEST", "quality", quality=0).request_id


def test_all_that_is_wrong_is_named_at_once(stages: Stages, refused: Refused) -> None:
    wrong = {"steps": 0, "cfg": NAN, "seed": -1}
    refused(stages.sampling, "INVALID_REQUEST", *(f"{field}=" for field in wrong), **wrong)


@pytest.mark.parametrize("cfg_and_sampler", [(2.5, "euler"), (0, "euler"), (1, "euler_cfg_pp")])
def test_negative_encoding_missing_where_it_is_read(
    stages: Stages, refused: Refused, cfg_and_sampler: tuple[float, str]
) -> None:
    cfg, sampler = cfg_and_sampler
    culprits = ("negative_encoding is missing", f"cfg {cfg:g}", sampler)
    refused(stages.sampling, "INVALID_REQUEST", *culprits, negative_encoding=None, cfg=cfg, sampler_name=sampler)


def test_negative_encoding_missing_where_it_is_not_read(stages: Stages, answered: Answered) -> None:
    answered(stages.sampling, negative_encoding=None, cfg=1)


@pytest.mark.parametrize("seed", [0, 2**64 - 1, str(2**64 - 1)])
def test_smallest_and_largest_seed(stages: Stages, answered: Answered, seed: Any) -> None:
    assert answered(stages.sampling, seed=seed).metadata.seed == int(seed)


@pytest.mark.parametrize("stage", ["latent_encoder", "sampling", "decoding"])
def test_unknown_fields_are_ignored(stages: Stages, answered: Answered, stage: str) -> None:
    answered(getattr(stages, stage), from_the_future=object(), status="error")


def test_null_is_the_same_as_absent(stages: Stages, answered: Answered) -> None:
    answered(stages.decoding, quality=None, vae_model_name=None, output_filename=None, correlation_id=None)
