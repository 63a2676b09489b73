"""The real nodes over gRPC: the fields, the pixels and the codes of a stage that is called directly."""

from collections.abc import Mapping
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from decoding.models import DecodingRequest, DecodingResponse
from latent_encoder.models import LatentEncoderRequest, LatentEncoderResponse
from sampling.models import SamplingRequest, SamplingResponse
from shared_utils.contracts import Failure, Request, Success
from shared_utils.stage import Stage, answer
from shared_utils.transports.grpc.client import StageClient
from shared_utils.transports.grpc.generated import vtryon_pb2
from shared_utils.transports.grpc.statuses import status_of
from tests.bad_input.conftest import Good
from tests.conftest import Stages
from tests.shared_utils.transports.grpc.doors import PATIENCE, Caller, refused, served
from text_encoder.models import TextEncoderRequest, TextEncoderResponse

CONTRACTS: dict[str, tuple[type[Request], type[Success]]] = {
    "latent_encoder": (LatentEncoderRequest, LatentEncoderResponse),
    "text_encoder": (TextEncoderRequest, TextEncoderResponse),
    "sampling": (SamplingRequest, SamplingResponse),
    "decoding": (DecodingRequest, DecodingResponse),
}
OF_THE_MOMENT = {"timestamp", "processing_time_ms"}


def over_grpc(stage: Stage, fields: Mapping[str, Any]) -> Success | Failure:
    request_type, response_type = CONTRACTS[stage.name]
    with (
        served(stage) as server,
        StageClient(f"127.0.0.1:{server.port}", request_type, response_type) as client,
    ):
        return client.run(request_type.model_validate(fields), timeout=PATIENCE)


def lasting(found: Any) -> Any:
    """Less what differs from one run to the next."""
    if isinstance(found, dict):
        return {name: lasting(value) for name, value in found.items() if name not in OF_THE_MOMENT}
    return found


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_same_fields_and_the_same_files(name: str, stages: Stages, good: Good, tmp_path: Path) -> None:
    stage: Stage = getattr(stages, name)
    fields = {**good.request(name), "output_dir": str(tmp_path / "out"), "request_id": "one", "correlation_id": "two"}
    if name == "text_encoder":  # less to do, and a list that is null
        fields |= {"image3_path": None, "encode_negative": False}
    written = []
    answers = []
    for run in (answer, over_grpc):
        answers.append(run(stage, fields))
        assert isinstance(answers[-1], Success), answers[-1]
        files = [file for file in sorted((tmp_path / "out").iterdir()) if file.suffix != ".json"]
        written.append({file.name: file.read_bytes() for file in files})
        for file in files:
            file.unlink()
    assert type(answers[0]) is type(answers[1])
    assert lasting(answers[0].model_dump()) == lasting(answers[1].model_dump())
    assert written[0] == written[1] != {}


def test_what_is_left_out_is_left_to_the_stage(make_stages: Any, model_dir: Path, good: Good) -> None:
    """Its environment may have changed the default."""
    stage = make_stages(model_dir=model_dir, output_dir="elsewhere", megapixels=0.02).latent_encoder
    answered = over_grpc(stage, {"image_path": good.picture})
    assert isinstance(answered, LatentEncoderResponse)
    assert Path(answered.latent_file_path).parent.name == "elsewhere"
    assert answered.metadata.scaled_image_shape[0] * answered.metadata.scaled_image_shape[1] < 25_000


BAD: list[tuple[str, dict[str, Any]]] = [
    ("latent_encoder", {"megapixels": nan}),
    ("latent_encoder", {"megapixels": inf}),
    ("latent_encoder", {"megapixels": 1e300}),
    ("latent_encoder", {"megapixels": -1.0}),
    ("latent_encoder", {"upscale_method": "by hand"}),
    ("latent_encoder", {"image_path": ""}),
    ("latent_encoder", {"image_path": "a\x00b.png"}),
    ("latent_encoder", {"image_path": "x" * 5000}),
    ("latent_encoder", {"image_path": "missing.png"}),
    ("latent_encoder", {"image_path": "/etc/passwd"}),
    ("latent_encoder", {"vae_model_name": "../../secret.safetensors"}),
    ("latent_encoder", {"vae_model_name": "missing.safetensors"}),
    ("latent_encoder", {"output_dir": "/proc/nowhere"}),
    ("latent_encoder", {"request_id": "../../etc/passwd"}),
    ("latent_encoder", {"request_id": "ü" * 500}),
    ("latent_encoder", {"correlation_id": "a b"}),
    ("text_encoder", {"prompt": "x" * 9000}),
    ("text_encoder", {"image3_path": "missing.png"}),
    ("sampling", {"steps": 0}),
    ("sampling", {"steps": 2**62}),
    ("sampling", {"cfg": nan}),
    ("sampling", {"denoise": -inf}),
    ("sampling", {"sampler_name": "none"}),
    ("sampling", {"latent_image": "missing.pt"}),
    ("decoding", {"output_format": "gif"}),
    ("decoding", {"output_filename": "../up.png"}),
    ("decoding", {"quality": -(2**40)}),
]


@pytest.mark.parametrize(("name", "changes"), BAD, ids=lambda each: each if isinstance(each, str) else next(iter(each)))
def test_bad_input_has_the_same_code(name: str, changes: dict[str, Any], stages: Stages, good: Good) -> None:
    stage: Stage = getattr(stages, name)
    fields = {**good.request(name), **changes}
    directly = answer(stage, fields)
    assert isinstance(directly, Failure)
    method = stage.verb.title()
    with served(stage) as server, Caller(server.port, name.title().replace("_", ""), method) as caller:
        refusal = refused(lambda: caller.answer(fields))
    assert (refusal.code, refusal.status) == (directly.error_code, status_of(directly.error_code))
    assert refusal.retryable == str(directly.retryable).lower()
    assert refusal.message[:1000] == directly.error_message[:1000]


@pytest.mark.parametrize("moment", [Timestamp(seconds=2**62), Timestamp(seconds=-(2**62)), Timestamp(nanos=-5)])
def test_a_moment_that_there_is_none_of(moment: Timestamp, stages: Stages, good: Good) -> None:
    content = vtryon_pb2.LatentEncoderRequest(image_path=good.picture, timestamp=moment).SerializeToString()
    with served(stages.latent_encoder) as server, Caller(server.port, "LatentEncoder", "Encode") as caller:
        refusal = refused(lambda: caller.unary(content, timeout=PATIENCE))
    assert refusal.code == "INVALID_REQUEST"
    assert "timestamp=" in refusal.message


def test_the_largest_seed(stages: Stages, good: Good) -> None:
    answered = over_grpc(stages.sampling, {**good.request("sampling"), "seed": 2**64 - 1})
    assert isinstance(answered, SamplingResponse)
    assert answered.metadata.seed == 2**64 - 1
