"""The contract of sampling."""

from typing import Annotated

from pydantic import BaseModel, Field

from shared_utils.contracts import LORA, UNET, LocalPath, Metadata, ModelName, OutputOptions, Request, Success

# The limits are those of the nodes.
Seed = Annotated[int, Field(ge=0, lt=2**64)]
Strength = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


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


class SamplingOptions(SamplerOptions, OutputOptions):
    """What has a default that the environment can change."""


class SamplingParameters(SamplingOptions, Request):
    """A request without its inputs, for a caller that has them in memory."""

    seed: Seed | None = Field(None, description="0 to 2^64 - 1; random if left out. The answer tells which it was.")


class SamplingRequest(SamplingParameters):
    positive_encoding: LocalPath = Field(description="The text encoder's positive encoding: a .pt file.")
    negative_encoding: LocalPath | None = Field(
        None, description="Its negative encoding; may be left out at cfg 1, where it is not read."
    )
    latent_image: LocalPath = Field(description="The latent encoder's latent: a .pt file.")


class SamplingMetadata(SamplerOptions, Metadata):
    seed: Seed = Field(description="The seed that was used.")
    latent_shape: list[int]


class SamplingResponse(Success):
    sampled_latent_path: str = Field(description='The sampled latent, {"samples": tensor}: a .pt file.')
    sampled_latent_shape: list[int] = Field(description="[1, channels, 1, height, width]")
    metadata: SamplingMetadata
