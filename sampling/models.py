"""The contract of sampling."""

from pydantic import Field

from shared_utils.contracts import LocalPath, Metadata, OutputOptions, Request, SamplerOptions, Seed, Success


class SamplingOptions(SamplerOptions, OutputOptions):
    """What has a default that the environment can change."""


class SamplingParameters(SamplingOptions, Request):
    """A request without its inputs, for a caller that has them in memory."""

    seed: Seed | None = Field(None, description="0 to 2^64 - 1; random if left out. The answer tells which it was.")


class SamplingRequest(SamplingParameters):
    positive_encoding: LocalPath = Field(
        description="The text encoder's positive encoding: a .pt file.", examples=["output/positive_first.pt"]
    )
    negative_encoding: LocalPath | None = Field(
        None, description="Its negative encoding; may be left out at cfg 1, where it is not read."
    )
    latent_image: LocalPath = Field(
        description="The latent encoder's latent: a .pt file.", examples=["output/latent_first.pt"]
    )


class SamplingMetadata(SamplerOptions, Metadata):
    seed: Seed = Field(description="The seed that was used.")
    latent_shape: list[int]


class SamplingResponse(Success):
    sampled_latent_path: str = Field(description='The sampled latent, {"samples": tensor}: a .pt file.')
    sampled_latent_shape: list[int] = Field(description="[1, channels, 1, height, width]")
    metadata: SamplingMetadata
