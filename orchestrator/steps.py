"""The workflow as data: which step needs which, and what each is asked.

latent_encoder ──┐
                 ├──> sampling ──> decoding
text_encoder ────┘
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.state import TryOn


@dataclass(frozen=True)
class Step:
    """A stage in its place: what must be done before, what it is then asked, and what of its answer is read later."""

    needs: tuple[str, ...]
    gives: tuple[str, ...]
    fields: Callable[[TryOn], dict[str, Any]]


def _latent_encoder(tryon: TryOn) -> dict[str, Any]:
    return {
        "image_path": tryon.request.person_image_path,
        "encode_content": tryon.request.reads_latent(),
        **_same(tryon, "vae_model_name", "upscale_method", "megapixels"),
        "output_dir": tryon.work_dir,
    }


def _text_encoder(tryon: TryOn) -> dict[str, Any]:
    return {
        "image1_path": tryon.request.person_image_path,
        "image2_path": tryon.request.garment_image_path,
        "image3_path": tryon.request.mask_image_path,
        "encode_negative": tryon.request.reads_negative(),
        **_same(tryon, "prompt", "negative_prompt", "clip_model_name", "vae_model_name"),
        **_same(tryon, "upscale_method", "megapixels"),
        "output_dir": tryon.work_dir,
    }


def _sampling(tryon: TryOn) -> dict[str, Any]:
    return {
        "positive_encoding": tryon.results["text_encoder"]["positive_encoding_path"],
        "negative_encoding": tryon.results["text_encoder"]["negative_encoding_path"],
        "latent_image": tryon.results["latent_encoder"]["latent_file_path"],
        **_same(tryon, "unet_model_name", "lora_model_name", "lora_strength", "seed", "steps", "cfg"),
        **_same(tryon, "sampler_name", "scheduler", "denoise", "shift", "strength"),
        "output_dir": tryon.work_dir,
    }


def _decoding(tryon: TryOn) -> dict[str, Any]:
    return {
        "latent_path": tryon.results["sampling"]["sampled_latent_path"],
        **_same(tryon, "vae_model_name", "output_dir", "output_filename", "output_format"),
    }


def _same(tryon: TryOn, *names: str) -> dict[str, Any]:
    return {name: getattr(tryon.request, name) for name in names}


STEPS: dict[str, Step] = {
    "latent_encoder": Step((), ("latent_file_path",), _latent_encoder),
    "text_encoder": Step((), ("positive_encoding_path", "negative_encoding_path"), _text_encoder),
    "sampling": Step(("latent_encoder", "text_encoder"), ("sampled_latent_path",), _sampling),
    "decoding": Step(("sampling",), ("image_path",), _decoding),
}
LAST = "decoding"
