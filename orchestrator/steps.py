"""The workflow as data: which step needs which, and what each is asked.

latent_encoder ──┐
                 ├──> sampling ──> decoding
text_encoder ────┘
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.models import TryOnRequest
from orchestrator.state import Results


@dataclass(frozen=True)
class Step:
    """A stage in its place: what must be done before, what it is then asked, and what of its answer is read later."""

    needs: tuple[str, ...]
    gives: tuple[str, ...]
    fields: Callable[[TryOnRequest, Results], dict[str, Any]]


def _latent_encoder(request: TryOnRequest, results: Results) -> dict[str, Any]:
    return {
        "image_path": request.person_image_path,
        **_same(request, "vae_model_name", "upscale_method", "megapixels", "output_dir"),
    }


def _text_encoder(request: TryOnRequest, results: Results) -> dict[str, Any]:
    return {
        "image1_path": request.person_image_path,
        "image2_path": request.garment_image_path,
        "image3_path": request.mask_image_path,
        "encode_negative": request.reads_negative(),
        **_same(request, "prompt", "negative_prompt", "clip_model_name", "vae_model_name"),
        **_same(request, "upscale_method", "megapixels", "output_dir"),
    }


def _sampling(request: TryOnRequest, results: Results) -> dict[str, Any]:
    return {
        "positive_encoding": results["text_encoder"]["positive_encoding_path"],
        "negative_encoding": results["text_encoder"]["negative_encoding_path"],
        "latent_image": results["latent_encoder"]["latent_file_path"],
        **_same(request, "unet_model_name", "lora_model_name", "lora_strength", "seed", "steps", "cfg"),
        **_same(request, "sampler_name", "scheduler", "denoise", "shift", "strength", "output_dir"),
    }


def _decoding(request: TryOnRequest, results: Results) -> dict[str, Any]:
    return {
        "latent_path": results["sampling"]["sampled_latent_path"],
        **_same(request, "vae_model_name", "output_dir", "output_filename", "output_format"),
    }


def _same(request: TryOnRequest, *names: str) -> dict[str, Any]:
    return {name: getattr(request, name) for name in names}


STEPS: dict[str, Step] = {
    "latent_encoder": Step((), ("latent_file_path",), _latent_encoder),
    "text_encoder": Step((), ("positive_encoding_path", "negative_encoding_path"), _text_encoder),
    "sampling": Step(("latent_encoder", "text_encoder"), ("sampled_latent_path",), _sampling),
    "decoding": Step(("sampling",), ("image_path",), _decoding),
}
LAST = "decoding"
