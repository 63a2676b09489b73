"""The contract of the latent encoder."""

from pydantic import Field

from shared_utils.contracts import (
    LocalPath,
    Metadata,
    OutputOptions,
    Request,
    ScaleOptions,
    Success,
    VaeOptions,
)


class LatentEncoderOptions(VaeOptions, ScaleOptions, OutputOptions):
    """What has a default that the environment can change."""


class LatentEncoderRequest(LatentEncoderOptions, Request):
    image_path: LocalPath = Field(
        description="Picture of the person, the area to dress painted green: PNG, JPEG, WebP.",
        examples=["examples/person_masked.png"],
    )
    encode_content: bool = Field(
        True,
        description="Whether the latent is to hold the picture, or to be zeros of that shape: at denoise 1 the sampler "
        "reads the shape alone.",
    )


class LatentEncoderMetadata(VaeOptions, Metadata):
    original_image_shape: list[int] = Field(description="Height, width and channels as loaded.")
    scaled_image_shape: list[int] = Field(description="Height, width and channels as encoded.")
    latent_shape: list[int]


class LatentEncoderResponse(Success):
    latent_file_path: str = Field(description="The latent: a .pt file with one tensor.")
    latent_shape: list[int] = Field(
        description="[1, channels, 1, height, width]; height and width are in units of 8 pixels."
    )
    scaled_image_path: str = Field(description="The picture as encoded: a PNG.")
    metadata: LatentEncoderMetadata
