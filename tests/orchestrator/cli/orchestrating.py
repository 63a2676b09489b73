"""What an orchestrator would write, for commands that read it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.config import Config
from orchestrator.course import read_news
from orchestrator.models import TryOnFailure, TryOnRequest, TryOnSuccess
from orchestrator.records import Records
from orchestrator.state import Problem, StepState, TryOn
from shared_utils.contracts import Progress
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.sending import Outgoing, send
from shared_utils.transports.kafka.topics import TRYON_PROGRESS, TRYON_RESPONSES

BEGUN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PARTITION = 2


def tryon(name: str, **changes: Any) -> TryOn:
    """One that has just begun."""
    request = TryOnRequest(
        correlation_id=name, person_image_path="/p.png", garment_image_path="/g.png", seed=7, output_dir="/out"
    )
    deadline = BEGUN + timedelta(hours=1)
    sent = StepState(state="sent", attempt=1, started=BEGUN, deadline=deadline)
    fields = {
        "correlation_id": name,
        "request": request,
        "steps": {"latent_encoder": sent, "text_encoder": sent},
        "submitted": BEGUN,
        "updated": BEGUN + timedelta(seconds=30),
    }
    return TryOn.model_validate(fields | changes)


def succeeded(name: str) -> TryOn:
    """One with a picture, each step of which took as many seconds as its name has letters."""
    results = {
        "latent_encoder": {"latent_file_path": "/i/latent.pt", "metadata": {"processing_time_ms": 13_500}},
        "text_encoder": {"positive_encoding_path": "/i/positive.pt", "negative_encoding_path": None},
        "sampling": {"sampled_latent_path": "/i/sampled.pt"},
        "decoding": {"image_path": "/out/tryon.png"},
    }
    steps = {
        step: StepState(
            state="done",
            attempt=1,
            started=BEGUN,
            deadline=BEGUN,
            finished=BEGUN + timedelta(seconds=len(step)),
            result=result,
        )
        for step, result in results.items()
    }
    return tryon(name, steps=steps, state="succeeded")


def failed(name: str) -> TryOn:
    problem = Problem(code="UNET_MODEL_NOT_FOUND", message="No diffusion model x.", step="text_encoder")
    return tryon(name, state="failed", problem=problem)


def answer(state: TryOn) -> TryOnSuccess | TryOnFailure:
    """What is answered to who asked for it."""
    response, *_ = Records(JsonCodec(), keep_intermediates=False).end(state, PARTITION)
    read = read_news(TRYON_RESPONSES, JsonCodec().decode(TRYON_RESPONSES, response.value or b""))
    assert isinstance(read, TryOnSuccess | TryOnFailure)
    return read


def tell(config: Config, state: TryOn) -> None:
    """Write its state, and if it has ended its answer."""
    records = Records(JsonCodec(), keep_intermediates=False)
    end = records.end(state, PARTITION) if state.ended else ()
    send(config, records.status(state, PARTITION), *end)


def tell_progress(config: Config, **fields: Any) -> None:
    progress = Progress.model_validate(fields)
    value = JsonCodec().encode(TRYON_PROGRESS, progress)
    send(config, Outgoing(TRYON_PROGRESS, progress.correlation_id, value))
