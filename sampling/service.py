"""UNETLoader, LoraLoaderModelOnly, ModelSamplingAuraFlow, CFGNorm, KSampler."""

import functools
import logging
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sampling.config import Config
from sampling.errors import InputTensorMismatchError, SamplingFailedError
from sampling.models import SamplingMetadata, SamplingOptions, SamplingParameters, SamplingRequest, SamplingResponse
from shared_utils.artifacts.paths import output_folder, write_whole
from shared_utils.artifacts.tensors import (
    Conditioning,
    Latent,
    as_conditioning,
    as_latent,
    metadata_file,
    read_conditioning,
    read_latent,
    tensor_file,
)
from shared_utils.comfy import nodes
from shared_utils.comfy.loader import LORA, UNET, Models, patched
from shared_utils.contracts import SamplerOptions
from shared_utils.errors import InvalidRequestError, failing_as
from shared_utils.stage import Stopwatch, parse

log = logging.getLogger("vtryon.sampling")

AnyConditioning = torch.Tensor | list[Any] | tuple[Any, ...]
"""A tensor, [tensor, metadata], or a list of such pairs."""


@dataclass(frozen=True)
class Inputs:
    """What the sampler starts from."""

    positive: Conditioning
    negative: Conditioning | None
    latent: Latent


class Sampling:
    name = "sampling"
    verb = "sample"
    request_type = SamplingRequest
    response_type = SamplingResponse
    options_type = Config

    def __init__(self, options: Config, models: Models) -> None:
        self.options = options
        self.models = models

    def warm_up(self) -> None:
        self._patched_model(self.options)

    def run(self, request: SamplingRequest) -> SamplingResponse:
        stopwatch = Stopwatch()
        output_folder(request.output_dir, self.options)
        inputs = self.inputs(request.positive_encoding, request.negative_encoding, request.latent_image)
        sampled, metadata = self.sample(inputs, request, stopwatch)
        file = self.save(sampled, metadata, request)
        return SamplingResponse.to(
            request, sampled_latent_path=str(file), sampled_latent_shape=metadata.latent_shape, metadata=metadata
        )

    def inputs(self, positive: Any, negative: Any, latent: Any) -> Inputs:
        """The three inputs, each a path, or the thing itself in any form that a `.pt` file may hold."""
        return Inputs(
            positive=self._conditioning(positive, "positive_encoding"),
            negative=None if negative is None else self._conditioning(negative, "negative_encoding"),
            latent=read_latent(latent, self.options) if _is_path(latent) else as_latent(latent, "latent_image"),
        )

    def sample(
        self, inputs: Inputs, parameters: SamplingParameters, stopwatch: Stopwatch
    ) -> tuple[Latent, SamplingMetadata]:
        """The sampled latent, and how it came about."""
        self._check_choice("sampler_name", parameters.sampler_name, "SAMPLERS")
        self._check_choice("scheduler", parameters.scheduler, "SCHEDULERS")
        negative = inputs.negative or _unread_negative(inputs, parameters)
        model = self._patched_model(parameters)
        _check_fit(model, inputs)
        seed = secrets.randbits(64) if parameters.seed is None else parameters.seed

        def work() -> Latent:
            with failing_as(SamplingFailedError, "sampling"):
                latent: Latent = nodes.run(
                    self.models.comfy,
                    "KSampler",
                    model=model,
                    seed=seed,
                    steps=parameters.steps,
                    cfg=parameters.cfg,
                    sampler_name=parameters.sampler_name,
                    scheduler=parameters.scheduler,
                    denoise=parameters.denoise,
                    positive=inputs.positive,
                    negative=negative,
                    latent_image=inputs.latent,
                )
            return latent

        sampled = self.models.reuse.result(self.name, self._parts(inputs, parameters, seed), work)
        metadata = SamplingMetadata(
            seed=seed,
            latent_shape=list(sampled["samples"].shape),
            miniature=self.models.miniature(UNET, parameters.unet_model_name),
            processing_time_ms=stopwatch.milliseconds(),
            **parameters.model_dump(include=set(SamplerOptions.model_fields)),
        )
        return sampled, metadata

    def _parts(self, inputs: Inputs, parameters: SamplingParameters, seed: int) -> Iterator[Any]:
        """What decides the result: of the models their content, of the inputs what the sampler reads."""
        yield self.models.identity(UNET, parameters.unet_model_name)
        yield self.models.identity(LORA, parameters.lora_model_name) if parameters.lora_strength else None
        yield parameters.model_dump(include=set(SamplerOptions.model_fields) - {"unet_model_name", "lora_model_name"})
        yield seed
        yield inputs.positive
        yield inputs.negative if parameters.reads_negative() else None
        latent = inputs.latent["samples"]
        yield latent if parameters.reads_latent() else [str(latent.dtype), *latent.shape]

    def save(self, sampled: Latent, metadata: SamplingMetadata, parameters: SamplingParameters) -> Path:
        file = output_folder(parameters.output_dir, self.options) / f"sampled_latent_{parameters.request_id}.pt"
        write_whole({file: tensor_file(sampled)} | metadata_file(file, metadata, self.options))
        return file

    def _conditioning(self, value: Any, name: str) -> Conditioning:
        conditioning = read_conditioning(value, self.options) if _is_path(value) else as_conditioning(value, name)
        if not any(pair[1].get("reference_latents") for pair in conditioning):
            log.warning("%s has no reference latents: the model will not see the garment", name)
        return conditioning

    def _patched_model(self, options: SamplingOptions) -> Any:
        comfy = self.models.comfy
        model = self.models.unet(options.unet_model_name, options.lora_model_name, options.lora_strength)

        def patch() -> Any:
            shifted = nodes.run(comfy, "ModelSamplingAuraFlow", model=model, shift=options.shift)
            return nodes.run(comfy, "CFGNorm", model=shifted, strength=options.strength)

        return patched(model, (options.shift, options.strength), patch)

    def _check_choice(self, field: str, value: str, choices: str) -> None:
        """ComfyUI knows which samplers and schedulers it has, and would run another one's name as the default."""
        known = getattr(self.models.comfy.module("comfy.samplers").KSampler, choices)
        if value not in known:
            raise InvalidRequestError(f"{field}={value!r} is not known here. Choose one of {', '.join(known)}.")


def _is_path(value: Any) -> bool:
    return isinstance(value, str | Path)


def _unread_negative(inputs: Inputs, parameters: SamplingParameters) -> Conditioning:
    """Something to put where a negative conditioning goes, if the sampler will not look at it."""
    if not parameters.reads_negative():
        return inputs.positive
    raise InvalidRequestError(
        f"negative_encoding is missing: at cfg {parameters.cfg:g} with {parameters.sampler_name} the sampler reads it. "
        "Have the text encoder make it (encode_negative), or use cfg 1."
    )


def _check_fit(model: Any, inputs: Inputs) -> None:
    """Whether the tensors are those of this diffusion model's VAE and text encoder."""
    channels = model.model.latent_format.latent_channels
    width = model.model.diffusion_model.txt_norm.weight.shape[0]
    latents = {"latent_image": inputs.latent["samples"]}
    for name, conditioning in (("positive_encoding", inputs.positive), ("negative_encoding", inputs.negative or [])):
        for tensor, metadata in conditioning:
            if tensor.shape[-1] != width:
                raise InputTensorMismatchError(
                    f"{name} is {tensor.shape[-1]} wide, but this diffusion model reads {width}: "
                    "it was made with the text encoder of another model."
                )
            for number, reference in enumerate(metadata.get("reference_latents", []), start=1):
                latents[f"reference latent {number} in {name}"] = reference
    for name, latent in latents.items():
        if latent.shape[1] != channels:
            raise InputTensorMismatchError(
                f"{name} has {latent.shape[1]} channels, but this diffusion model works on {channels}: "
                "it was made with the VAE of another model."
            )


@functools.cache
def _default_stage() -> Sampling:
    options = Config()
    return Sampling(options, Models(options))


def sample_latent(
    positive_encoding: str | Path | AnyConditioning,
    negative_encoding: str | Path | AnyConditioning | None,
    latent_image: str | Path | torch.Tensor | Latent,
    unet_model_name: str | None = None,
    lora_model_name: str | None = None,
    lora_strength: float = 1.0,
    seed: int | None = None,
    steps: int = 4,
    cfg: float = 1.0,
    sampler_name: str = "euler",
    scheduler: str = "simple",
    denoise: float = 1.0,
    shift: float = 3,
    strength: float = 1.0,
    output_dir: str | None = None,
    request_id: str | None = None,
    save_tensor: bool = True,
) -> dict[str, Any]:
    """The stage for a program that has the tensors in hand; paths will do as well.

    Returns `sampled_latent_tensor`, `sampled_latent_path` (None unless saved), `sampled_latent_shape`, `metadata`.
    """
    given, stopwatch = dict(locals()), Stopwatch()
    stage = _default_stage()
    parameters = parse(SamplingParameters, stage.options, given)
    inputs = stage.inputs(positive_encoding, negative_encoding, latent_image)
    sampled, metadata = stage.sample(inputs, parameters, stopwatch)
    return {
        "sampled_latent_tensor": sampled["samples"],
        "sampled_latent_path": str(stage.save(sampled, metadata, parameters)) if save_tensor else None,
        "sampled_latent_shape": tuple(metadata.latent_shape),
        "metadata": metadata.model_dump(mode="json"),
    }
