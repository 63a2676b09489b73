"""The shape of every request and every response, and the fields that several services share.

A request is what a stage needs; a response is `status` and the stage's own fields, or an error. Whatever has a default
stands in an `Options` class, which the request and the service's settings both inherit: a request may give the value,
else the environment, else the default written here.
"""

import math
import struct
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
)

from shared_utils.errors import InvalidRequestError, VtryonError

VAE = "qwen_image_vae.safetensors"
CLIP = "qwen_2.5_vl_7b_fp8_scaled.safetensors"
UNET = "qwen_image_edit_2509_fp8_e4m3fn.safetensors"
LORA = "Qwen-Image-Lightning-4steps-V2.0.safetensors"
PROMPT = (
    "by using the green masked area from Picture 3 as a reference for position "
    "place the garment from Picture 2 on the person from Picture 1."
)
FULL_DENOISE = 0.9999
"""Above it ComfyUI's KSampler goes through the whole schedule."""
FROM_THE_TOP = {"simple", "sgm_uniform", "normal", "beta", "linear_quadratic"}
"""The schedulers that begin with the highest sigma as it is. Held against ComfyUI's own by the tests."""


def _plain_relative(name: str) -> str:
    """A model may lie in a subfolder, but not outside the model folders."""
    parts = name.replace("\\", "/").split("/")
    if not all(parts) or "." in parts or ".." in parts or not name.isprintable():
        raise ValueError("is no name of a file in a model folder")
    return name


def now() -> datetime:
    return datetime.now(UTC)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# An epoch in seconds, or ISO 8601, is read; ISO 8601 is written.
Timestamp = Annotated[datetime, PlainSerializer(_iso, return_type=str, when_used="json")]
# It becomes part of file names.
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
ModelName = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_plain_relative)]
LocalPath = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f]+$")]
UpscaleMethod = Literal["lanczos", "nearest", "bilinear", "bicubic"]
ImageFormat = Literal["png", "jpg", "webp"]
# The limits are those of the nodes.
Megapixels = Annotated[float, Field(ge=0.01, le=16, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**64)]
Strength = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Message(BaseModel):
    """Unknown fields are ignored, so that an older reader understands a newer writer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class OutputOptions(BaseModel):
    output_dir: LocalPath = Field("./output", description="Folder for everything this step writes; made if missing.")


class VaeOptions(BaseModel):
    vae_model_name: ModelName = Field(VAE, description="File in the model folder vae.")


class ScaleOptions(BaseModel):
    upscale_method: UpscaleMethod = Field("lanczos", description="How pictures are resampled.")
    megapixels: Megapixels = Field(1.0, description="Size that the person's picture is scaled to, 0.01 to 16.")


class ClipOptions(BaseModel):
    clip_model_name: ModelName = Field(CLIP, description="File in the model folder text_encoders (or clip).")


class SamplerOptions(BaseModel):
    """What decides the result, besides the inputs and the seed."""

    unet_model_name: ModelName = Field(UNET, description="File in the model folder diffusion_models.")
    lora_model_name: ModelName = Field(LORA, description="File in the model folder loras.")
    lora_strength: float = Field(
        1.0, ge=-100, le=100, allow_inf_nan=False, description="How much of the LoRA; at 0 it is not loaded."
    )
    steps: int = Field(4, ge=1, le=10000, description="Sampler steps.")
    cfg: float = Field(
        1.0, ge=0, le=100, allow_inf_nan=False, description="Guidance; at 1 the negative encoding is not read."
    )
    sampler_name: str = Field("euler", max_length=100, description="One of ComfyUI's samplers.")
    scheduler: str = Field("simple", max_length=100, description="One of ComfyUI's schedulers.")
    denoise: float = Field(1.0, ge=0, le=1, allow_inf_nan=False, description="How much of the latent is made anew.")
    shift: Strength = Field(3, description="Shift of the AuraFlow sampling schedule.")
    strength: Strength = Field(1.0, description="Strength of CFGNorm.")

    def reads_negative(self) -> bool:
        """Whether the sampler looks at the negative encoding: not at cfg 1, unless it is one of the cfg_pp kind."""
        return not math.isclose(self.cfg, 1.0) or "cfg_pp" in self.sampler_name

    def reads_latent(self) -> bool:
        """Whether the sampler looks at what the latent holds, and not at its shape alone.

        At full denoise it takes sigma parts of noise and 1 - sigma parts of the latent. With these schedulers the first
        sigma is that of the AuraFlow shift at 1, which is exactly 1 unless single precision rounds it off; at shift 0
        it is no number.
        """
        whole = self.denoise > FULL_DENOISE and self.scheduler in FROM_THE_TOP
        shift = _single(self.shift)
        return not (whole and shift == _single(1 + _single(self.shift - 1)) and shift > 0)


def _single(number: float) -> float:
    """As PyTorch computes with it."""
    return float(struct.unpack("f", struct.pack("f", number))[0])


class Request(Message):
    """What every request carries besides the stage's own fields."""

    request_id: Identifier = Field(
        default_factory=lambda: uuid.uuid4().hex, description="Names this request and its files; made if missing."
    )
    correlation_id: Identifier | None = Field(None, description="Names the try-on that this request belongs to.")
    timestamp: Timestamp = Field(default_factory=now, description="When the request was made; now if missing.")

    @field_validator("*", mode="before")
    @classmethod
    def _no_nul(cls, value: Any) -> Any:
        if isinstance(value, str) and "\x00" in value:
            raise ValueError("holds a NUL character")
        return value


class Response(Message):
    """Common to success and error."""

    status: str
    request_id: str
    correlation_id: str | None = None
    timestamp: Timestamp = Field(default_factory=now)


class Success(Response):
    status: Literal["success"] = "success"

    @classmethod
    def to(cls, request: Request, **fields: Any) -> Self:
        """The answer to a request."""
        return cls(request_id=request.request_id, correlation_id=request.correlation_id, **fields)


class Failure(Response):
    """The answer to a request that could not be done."""

    status: Literal["error"] = "error"
    error_code: str = Field(description="Stable: match on this one.")
    error_message: str = Field(description="What happened, where, and what to do.")
    retryable: bool = Field(description="Whether the same request may succeed later.")

    @classmethod
    def of(cls, error: VtryonError, request_id: str, correlation_id: str | None = None) -> Self:
        return cls(
            request_id=request_id,
            correlation_id=correlation_id,
            error_code=error.code,
            error_message=error.message,
            retryable=error.retryable,
        )


class Metadata(Message):
    """What a later reader needs to know about how a result came about."""

    processing_time_ms: int
    timestamp: Timestamp = Field(default_factory=now)
    miniature: bool = Field(False, description="Whether a model that was used is a miniature, for trying vtryon only.")


class Progress(Message):
    """How far a step of a try-on is."""

    correlation_id: str | None = None
    request_id: str
    step: str = Field(description="The stage.")
    state: Literal["started", "running", "done", "failed"]
    node: str | None = Field(None, description="ComfyUI's node that runs.")
    done: int = Field(0, description="Steps of the node that are done.")
    total: int = Field(0, description="How many it has; 0 if it does not count them.")
    preview: str | None = Field(
        None, description="What the picture looks like by now, small: a JPEG in base64. Not with every step."
    )
    timestamp: Timestamp = Field(default_factory=now)


class Cancel(Message):
    """Nobody wants the answer any more: of a try-on, or of one request to a stage."""

    correlation_id: Identifier
    request_id: str | None = Field(None, description="The request to the stage; null for the whole try-on.")
    timestamp: Timestamp = Field(default_factory=now)


def echoable(identifier: Any) -> str | None:
    """What to answer to, even if it is no identifier: as text that can be written, and no longer than one may be."""
    if identifier is None:
        return None
    return str(identifier)[:128].encode("utf-8", "replace").decode() or None


def invalid_request(wrong: ValidationError) -> InvalidRequestError:
    """Every field that is wrong, and why, in one sentence each."""
    return InvalidRequestError(" ".join(_sentence(e["loc"], e["msg"], e["input"]) for e in wrong.errors()))


def _sentence(where: Sequence[int | str], reason: str, value: Any) -> str:
    name = ".".join(str(part) for part in where) or "request"
    reason = reason.removeprefix("Value error, ")
    if reason == "Field required":
        return f"{name} is missing."
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return f"{name}={shown} is not usable: {reason[:1].lower()}{reason[1:]}."
