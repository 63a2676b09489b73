"""Stages that take the time they are told to and write real files: for what tests delivery, not pictures.

They have the real stages' requests and responses. Each file names the try-on it belongs to and the files it was made
from, and ends with the digest of all that, so that whoever looks at a picture can tell whether the whole chain behind
it was whole. `python benchmarks/stand_ins.py --help`.
"""

import argparse
import hashlib
import json
import random
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import decoding.config
import decoding.models
import latent_encoder.config
import latent_encoder.models
import sampling.config
import sampling.models
import text_encoder.config
import text_encoder.models
from shared_utils.artifacts.paths import write_whole
from shared_utils.comfy.loader import Models
from shared_utils.comfy.progress import comfy_hook, running
from shared_utils.contracts import Request, Success
from shared_utils.errors import InputTensorInvalidError, InputTensorNotFoundError
from shared_utils.settings import Settings
from shared_utils.telemetry.logs import start_logging
from shared_utils.transports.kafka.command import run_together
from shared_utils.transports.kafka.settings import WorkerSettings

PAYLOAD = 64 * 1024
SLICES = 4


def write(file: Path, correlation_id: str | None, *made_from: str) -> str:
    """A file that can be checked."""
    story = {"try-on": correlation_id, "made_from": {name: checked(name, correlation_id) for name in made_from}}
    content = json.dumps(story).encode() + b"\n" + random.randbytes(PAYLOAD)
    write_whole({file: content + hashlib.sha256(content).digest()})
    return str(file)


def checked(file: str, correlation_id: str | None) -> str:
    """The file's digest, if it is there, whole, and of this try-on."""
    try:
        everything = Path(file).read_bytes()
    except FileNotFoundError:
        raise InputTensorNotFoundError(f"{file} is missing.") from None
    content, digest = everything[:-32], everything[-32:]
    if hashlib.sha256(content).digest() != digest:
        raise InputTensorInvalidError(f"{file} is torn.")
    if json.loads(content.split(b"\n", 1)[0])["try-on"] != correlation_id:
        raise InputTensorInvalidError(f"{file} belongs to another try-on.")
    return digest.hex()


class StandIn:
    """A stage that waits, then writes; between the slices of its wait it can be stopped, as a sampler can."""

    def __init__(self, name: str, milliseconds: tuple[float, float]) -> None:
        self.name = name
        self.verb = "do"
        self.models = Models(Settings())
        self.request_type: type[Request] = KINDS[name].request_type
        self.response_type: type[Success] = KINDS[name].response_type
        self.options: Any = KINDS[name].config()
        self._work = KINDS[name].work
        self._milliseconds = milliseconds

    def warm_up(self) -> None:
        pass

    def run(self, request: Any) -> Success:
        slice_seconds = random.uniform(*self._milliseconds) / 1000 / SLICES
        with running("StandIn"):
            for done in range(1, SLICES + 1):
                threading.Event().wait(slice_seconds)
                comfy_hook(done, SLICES)
        return self._work(request)


def encode_latent(request: latent_encoder.models.LatentEncoderRequest) -> Success:
    folder, name = Path(request.output_dir), request.correlation_id
    return latent_encoder.models.LatentEncoderResponse.to(
        request,
        latent_file_path=write(folder / f"latent_{request.request_id}.pt", name),
        latent_shape=[1],
        scaled_image_path=write(folder / f"scaled_image_{request.request_id}.png", name),
        metadata={"processing_time_ms": 0, "original_image_shape": [], "scaled_image_shape": [], "latent_shape": [1]},
    )


def encode_text(request: text_encoder.models.TextEncoderRequest) -> Success:
    folder, name = Path(request.output_dir), request.correlation_id
    return text_encoder.models.TextEncoderResponse.to(
        request,
        positive_encoding_path=write(folder / f"positive_{request.request_id}.pt", name),
        positive_encoding_shape=[1],
        negative_encoding_path=None,
        negative_encoding_shape=None,
        metadata={"processing_time_ms": 0, "image_shapes": [], "reference_latent_shapes": []},
    )


def sample(request: sampling.models.SamplingRequest) -> Success:
    file = Path(request.output_dir) / f"sampled_latent_{request.request_id}.pt"
    return sampling.models.SamplingResponse.to(
        request,
        sampled_latent_path=write(file, request.correlation_id, request.positive_encoding, request.latent_image),
        sampled_latent_shape=[1],
        metadata={"processing_time_ms": 0, "seed": request.seed, "latent_shape": [1]},
    )


def decode(request: decoding.models.DecodingRequest) -> Success:
    file = Path(request.output_dir) / str(request.output_filename)
    return decoding.models.DecodingResponse.to(
        request,
        image_path=write(file, request.correlation_id, request.latent_path),
        width=1,
        height=1,
        metadata={
            "processing_time_ms": 0,
            "latent_shape": [1],
            "image_shape": [],
            "output_format": "png",
            "file_size": PAYLOAD,
        },
    )


@dataclass(frozen=True)
class Kind:
    request_type: type[Request]
    response_type: type[Success]
    config: type[Any]
    work: Callable[[Any], Success]


KINDS = {
    "latent_encoder": Kind(
        latent_encoder.models.LatentEncoderRequest,
        latent_encoder.models.LatentEncoderResponse,
        latent_encoder.config.Config,
        encode_latent,
    ),
    "text_encoder": Kind(
        text_encoder.models.TextEncoderRequest,
        text_encoder.models.TextEncoderResponse,
        text_encoder.config.Config,
        encode_text,
    ),
    "sampling": Kind(sampling.models.SamplingRequest, sampling.models.SamplingResponse, sampling.config.Config, sample),
    "decoding": Kind(decoding.models.DecodingRequest, decoding.models.DecodingResponse, decoding.config.Config, decode),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", required=True, help="a list with commas")
    parser.add_argument("--shortest", type=float, default=50, metavar="MS", help="of a job (default: 50)")
    parser.add_argument("--longest", type=float, default=200, metavar="MS", help="of a job (default: 200)")
    given = parser.parse_args()
    settings = WorkerSettings.read()
    start_logging(settings.log_level, settings.log_format)
    stages = [StandIn(name, (given.shortest, given.longest)) for name in given.stages.split(",")]
    return run_together(stages, settings)


if __name__ == "__main__":
    sys.exit(main())
