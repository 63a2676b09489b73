"""The workflow as ComfyUI's server takes it: API-prompt JSON, the same nodes and values as in scripts/monolith.py."""

from typing import Any

from shared_utils.contracts import CLIP, LORA, PROMPT, UNET, VAE

SAVED = "save"
"""The node whose output is the picture."""


def api_prompt(person: str, garment: str, seed: int, megapixels: float, steps: int) -> dict[str, Any]:
    """The pictures by the names that they have in the server's input folder."""
    encoded = {"clip": ["clip", 0], "vae": ["vae", 0], "image1": ["scaled", 0], "image2": ["garment", 0]}
    return {
        "vae": _node("VAELoader", vae_name=VAE),
        "clip": _node("CLIPLoader", clip_name=CLIP, type="qwen_image"),
        "unet": _node("UNETLoader", unet_name=UNET, weight_dtype="default"),
        "lora": _node("LoraLoaderModelOnly", model=["unet", 0], lora_name=LORA, strength_model=1.0),
        "shifted": _node("ModelSamplingAuraFlow", model=["lora", 0], shift=3.0),
        "normed": _node("CFGNorm", model=["shifted", 0], strength=1.0),
        "person": _node("LoadImage", image=person),
        "garment": _node("LoadImage", image=garment),
        "scaled": _node(
            "ImageScaleToTotalPixels",
            image=["person", 0],
            upscale_method="lanczos",
            megapixels=megapixels,
            resolution_steps=1,
        ),
        "latent": _node("VAEEncode", pixels=["scaled", 0], vae=["vae", 0]),
        "positive": _node("TextEncodeQwenImageEditPlus", prompt=PROMPT, **encoded),
        "negative": _node("TextEncodeQwenImageEditPlus", prompt="", **encoded),
        "sampled": _node(
            "KSampler",
            model=["normed", 0],
            seed=seed,
            steps=steps,
            cfg=1.0,
            sampler_name="euler",
            scheduler="simple",
            positive=["positive", 0],
            negative=["negative", 0],
            latent_image=["latent", 0],
            denoise=1.0,
        ),
        "decoded": _node("VAEDecode", samples=["sampled", 0], vae=["vae", 0]),
        SAVED: _node("SaveImage", images=["decoded", 0], filename_prefix="tryon"),
    }


def _node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}
