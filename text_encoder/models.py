"""The contract of the text encoder."""

from pydantic import Field

from shared_utils.contracts import (
    PROMPT,
    ClipOptions,
    LocalPath,
    Metadata,
    OutputOptions,
    Request,
    ScaleOptions,
    Success,
    VaeOptions,
)


class TextEncoderOptions(ClipOptions, VaeOptions, ScaleOptions, OutputOptions):
    """What has a default that the environment can change."""


class TextEncoderRequest(TextEncoderOptions, Request):
    image1_path: LocalPath = Field(
        description="Picture 1: the person, scaled like the latent encoder does.",
        examples=["examples/person_masked.png"],
    )
    image2_path: LocalPath = Field(description="Picture 2: the garment.", examples=["examples/garment.png"])
    image3_path: LocalPath | None = Field(
        None, description="Picture 3, for example the mask that the prompt speaks of."
    )
    prompt: str = Field(PROMPT, max_length=8192, description="What to do with the pictures.")
    negative_prompt: str = Field("", max_length=8192, description="What to keep away from; read when cfg is not 1.")
    encode_negative: bool = Field(
        True, description="Whether to encode the negative prompt too: at cfg 1 the sampler never reads it."
    )


class TextEncoderMetadata(ClipOptions, VaeOptions, Metadata):
    image_shapes: list[list[int]] = Field(description="Height, width and channels of each picture as encoded.")
    reference_latent_shapes: list[list[int]]


class TextEncoderResponse(Success):
    positive_encoding_path: str = Field(description="ComfyUI's conditioning, with its reference latents: a .pt file.")
    positive_encoding_shape: list[int] = Field(description="[1, tokens, width] of its tensor.")
    negative_encoding_path: str | None = Field(description="The same for the negative prompt, or null.")
    negative_encoding_shape: list[int] | None
    metadata: TextEncoderMetadata
