"""The contract of the whole: what a try-on is asked with, and what answers it."""

from typing import Annotated

from pydantic import Field

from shared_utils.contracts import (
    PROMPT,
    ClipOptions,
    Failure,
    ImageFormat,
    LocalPath,
    Message,
    OutputOptions,
    Request,
    SamplerOptions,
    ScaleOptions,
    Seed,
    Success,
    Timestamp,
    VaeOptions,
)

CallbackUrl = Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^https?://[^\s\x00-\x1f]+$")]


class TryOnFields(SamplerOptions, ClipOptions, VaeOptions, ScaleOptions, OutputOptions):
    """What a try-on is asked with, besides its two pictures."""

    mask_image_path: LocalPath | None = Field(None, description="Picture 3 of the default prompt: the area alone.")
    prompt: str = Field(PROMPT, max_length=8192, description="What to do with the pictures.")
    negative_prompt: str = Field("", max_length=8192, description="What to keep away from; read when cfg is not 1.")
    seed: Seed | None = Field(None, description="0 to 2^64 - 1; random if left out.")
    output_filename: str | None = Field(None, description="Name of the picture in output_dir.")
    output_format: ImageFormat | None = Field(None, description="png, jpg or webp.")
    callback_url: CallbackUrl | None = Field(None, description="Told by a gateway when the try-on has ended.")


class TryOnRequest(TryOnFields, Request):
    person_image_path: LocalPath = Field(
        description="The person, the area to dress painted green.", examples=["examples/person_masked.png"]
    )
    garment_image_path: LocalPath = Field(description="The garment.", examples=["examples/garment.png"])


class StepTiming(Message):
    """How long a step took."""

    step: str
    attempts: int
    started: Timestamp = Field(description="When its last attempt was sent.")
    finished: Timestamp
    processing_time_ms: int | None = Field(None, description="Of that, the time in the stage itself.")


class TryOnSuccess(Success):
    image_path: str = Field(description="The picture.")
    latent_file_path: str = Field(description="The intermediate files; they are removed unless kept by a setting.")
    scaled_image_path: str | None = None
    positive_encoding_path: str
    negative_encoding_path: str | None = None
    sampled_latent_path: str
    intermediates_kept: bool = Field(description="Whether the intermediate files are still there.")
    seed: Seed | None = Field(None, description="The seed that was used.")
    timings: list[StepTiming]


class TryOnFailure(Failure):
    failed_step: str | None = Field(None, description="The step that failed; null if it was none of them.")
    timings: list[StepTiming] = Field([], description="Of the steps that were done.")
