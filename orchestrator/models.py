"""The contract of the whole: what a try-on is asked with, and what answers it."""

from pydantic import Field

from shared_utils.contracts import (
    PROMPT,
    ClipOptions,
    ImageFormat,
    LocalPath,
    OutputOptions,
    Request,
    SamplerOptions,
    ScaleOptions,
    Seed,
    VaeOptions,
)


class TryOnRequest(SamplerOptions, ClipOptions, VaeOptions, ScaleOptions, OutputOptions, Request):
    person_image_path: LocalPath = Field(description="The person, the area to dress painted green.")
    garment_image_path: LocalPath = Field(description="The garment.")
    mask_image_path: LocalPath | None = Field(None, description="Picture 3 of the default prompt: the area alone.")
    prompt: str = Field(PROMPT, max_length=8192, description="What to do with the pictures.")
    negative_prompt: str = Field("", max_length=8192, description="What to keep away from; read when cfg is not 1.")
    seed: Seed | None = Field(None, description="0 to 2^64 - 1; random if left out.")
    output_filename: str | None = Field(None, description="Name of the picture in output_dir.")
    output_format: ImageFormat | None = Field(None, description="png, jpg or webp.")
