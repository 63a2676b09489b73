"""What tensors come to as fields and files, and what a response comes to as tensors, without a server."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from decoding.models import DecodingMetadata, DecodingRequest, DecodingResponse
from latent_encoder.models import LatentEncoderMetadata, LatentEncoderRequest, LatentEncoderResponse
from sampling.models import SamplingRequest
from shared_utils.artifacts.tensors import read_latent, tensor_file
from shared_utils.contracts import Request
from shared_utils.errors import InvalidRequestError
from shared_utils.settings import Settings
from shared_utils.transports.triton.arrays import Array, texts
from shared_utils.transports.triton.exchange import fields_of, outputs_of
from text_encoder.models import TextEncoderMetadata, TextEncoderRequest, TextEncoderResponse

LATENT = np.random.default_rng(1).standard_normal((1, 16, 1, 3, 5)).astype(np.float32)


def data(content: bytes) -> Array:
    return np.frombuffer(content, np.uint8)


# ---- in


def test_plain_fields(tmp_path: Path) -> None:
    inputs = {
        "request_id": texts(["first"]),
        "positive_encoding": texts(["/some/päth.pt"]),
        "seed": np.array([2**64 - 1], np.uint64),
        "steps": np.array([7], np.int64),
        "cfg": np.array([1.5]),
    }
    assert fields_of(inputs, SamplingRequest, tmp_path) == {
        "request_id": "first",
        "positive_encoding": "/some/päth.pt",
        "seed": 2**64 - 1,
        "steps": 7,
        "cfg": 1.5,
    }
    (flag,) = fields_of({"encode_negative": np.array([False])}, TextEncoderRequest, tmp_path).values()
    assert flag is False


def test_a_list_stays_one(tmp_path: Path) -> None:
    class Several(Request):
        names: list[str]
        one: str = ""

    fields = fields_of({"names": texts(["a", "b"]), "one": texts(["c"])}, Several, tmp_path)
    assert fields == {"names": ["a", "b"], "one": "c"}


def test_what_comes_as_data_becomes_files(tmp_path: Path) -> None:
    inputs = {"image1": data(b"the person"), "image2": data(b"the garment"), "image3": data(b"")}
    fields = fields_of(inputs, TextEncoderRequest, tmp_path)
    assert {name: Path(path).read_bytes() for name, path in fields.items()} == {
        "image1_path": b"the person",
        "image2_path": b"the garment",
    }
    assert all(Path(path).parent == tmp_path for path in fields.values())


def test_a_conditioning_and_a_latent_as_data(tmp_path: Path) -> None:
    conditioning = tensor_file([[torch.ones(1, 2, 3), {"reference_latents": [torch.ones(1, 16, 1, 2, 2)]}]])
    inputs = {"positive": data(conditioning), "negative": data(b""), "latent": LATENT}
    fields = fields_of(inputs, SamplingRequest, tmp_path)
    assert fields.keys() == {"positive_encoding", "latent_image"}, "an empty negative is none"
    assert Path(fields["positive_encoding"]).read_bytes() == conditioning
    samples = read_latent(fields["latent_image"], Settings())["samples"]
    assert np.array_equal(samples.numpy(), LATENT)
    assert samples.dtype == torch.float32


def test_the_same_name_means_a_field_of_the_stage(tmp_path: Path) -> None:
    fields = fields_of({"sampled_latent": LATENT, "prompt": texts(["not its own"])}, DecodingRequest, tmp_path)
    assert fields.keys() == {"latent_path"}


def test_content_and_path_together_are_refused(tmp_path: Path) -> None:
    inputs = {"image": data(b"x"), "image_path": texts(["/some/where.png"])}
    with pytest.raises(InvalidRequestError, match="image and image_path both came"):
        fields_of(inputs, LatentEncoderRequest, tmp_path)


def test_an_empty_content_beside_a_path_is_none(tmp_path: Path) -> None:
    inputs = {"image": data(b""), "image_path": texts(["/some/where.png"])}
    assert fields_of(inputs, LatentEncoderRequest, tmp_path) == {"image_path": "/some/where.png"}


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="image_path is not text in UTF-8"):
        fields_of({"image_path": np.array([b"\xff\xfe"], np.object_)}, LatentEncoderRequest, tmp_path)


# ---- out


@pytest.fixture
def encoded(tmp_path: Path) -> LatentEncoderResponse:
    (tmp_path / "latent.pt").write_bytes(tensor_file(torch.from_numpy(LATENT)))
    (tmp_path / "scaled.png").write_bytes(b"a picture")
    shape: dict[str, Any] = {"original_image_shape": [1], "scaled_image_shape": [1], "latent_shape": [1]}
    return LatentEncoderResponse(
        request_id="r",
        latent_file_path=str(tmp_path / "latent.pt"),
        latent_shape=[*LATENT.shape],
        scaled_image_path=str(tmp_path / "scaled.png"),
        metadata=LatentEncoderMetadata(processing_time_ms=1, **shape),
    )


def test_the_content_of_the_files(encoded: LatentEncoderResponse) -> None:
    outputs = outputs_of(encoded, "latent_encoder", {"latent", "scaled_image", "latent_encoder"}, kept=False)
    assert np.array_equal(outputs["latent"], LATENT)
    assert outputs["latent"].dtype == np.float32
    assert outputs["scaled_image"].tobytes() == b"a picture"
    told = json.loads(outputs["latent_encoder"][0])
    assert told["request_id"] == "r"
    assert told["latent_shape"] == [1, 16, 1, 3, 5]
    assert not {"latent_file_path", "scaled_image_path"} & told.keys(), "they will be gone"


def test_only_what_is_asked_for(encoded: LatentEncoderResponse) -> None:
    assert outputs_of(encoded, "latent_encoder", {"scaled_image"}, kept=False).keys() == {"scaled_image"}


def test_the_paths_of_files_that_are_kept(encoded: LatentEncoderResponse) -> None:
    (answer,) = outputs_of(encoded, "latent_encoder", {"latent_encoder"}, kept=True)["latent_encoder"]
    assert LatentEncoderResponse.model_validate_json(answer) == LatentEncoderResponse.model_validate_json(
        encoded.model_dump_json()
    )


def test_a_latent_without_time_gets_it(encoded: LatentEncoderResponse, tmp_path: Path) -> None:
    (tmp_path / "latent.pt").write_bytes(tensor_file({"samples": torch.from_numpy(LATENT[:, :, 0]).half()}))
    latent = outputs_of(encoded, "latent_encoder", {"latent"}, kept=True)["latent"]
    assert latent.shape == LATENT.shape
    assert np.array_equal(latent, LATENT.astype(np.float16).astype(np.float32))


def test_a_negative_that_was_not_made_is_empty(tmp_path: Path) -> None:
    (tmp_path / "positive.pt").write_bytes(b"conditioning")
    response = TextEncoderResponse(
        request_id="r",
        positive_encoding_path=str(tmp_path / "positive.pt"),
        positive_encoding_shape=[1],
        negative_encoding_path=None,
        negative_encoding_shape=None,
        metadata=TextEncoderMetadata(processing_time_ms=1, image_shapes=[], reference_latent_shapes=[]),
    )
    outputs = outputs_of(response, "text_encoder", {"positive", "negative"}, kept=False)
    assert outputs["positive"].tobytes() == b"conditioning"
    assert (outputs["negative"].size, outputs["negative"].dtype) == (0, np.uint8)


def test_the_bytes_of_a_picture(tmp_path: Path) -> None:
    (tmp_path / "tryon.webp").write_bytes(b"webp")
    metadata = DecodingMetadata(
        processing_time_ms=1, latent_shape=[], image_shape=[], output_format="webp", file_size=4
    )
    response = DecodingResponse(
        request_id="r", image_path=str(tmp_path / "tryon.webp"), width=1, height=1, metadata=metadata
    )
    assert outputs_of(response, "decoding", {"image"}, kept=False)["image"].tobytes() == b"webp"
