"""The contract of decoding."""

from pydantic import Field

from shared_utils.contracts import ImageFormat, LocalPath, Metadata, OutputOptions, Request, Success, VaeOptions


class DecodingOptions(VaeOptions, OutputOptions):
    """What has a default that the environment can change."""

    quality: int = Field(95, ge=1, le=100, description="Of jpg and webp, 1 to 100.")


class DecodingRequest(DecodingOptions, Request):
    latent_path: LocalPath = Field(
        description='The sampled latent: a .pt file with a tensor or {"samples": tensor}.',
        examples=["output/sampled_latent_first.pt"],
    )
    output_filename: str | None = Field(
        None, description="Name of the picture in output_dir; tryon_ and the request's id if left out."
    )
    output_format: ImageFormat | None = Field(
        None, description="png, jpg or webp; if left out, what output_filename ends in, else png."
    )


class DecodingMetadata(VaeOptions, Metadata):
    latent_shape: list[int]
    image_shape: list[int] = Field(description="Height, width and channels.")
    output_format: ImageFormat
    file_size: int = Field(description="Bytes.")


class DecodingResponse(Success):
    image_path: str
    width: int
    height: int
    metadata: DecodingMetadata
