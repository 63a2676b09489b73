"""Lets ComfyUI read the sizes of the Qwen-Image models off their checkpoints, as it does itself for the VAE.

ComfyUI writes down the one size that was published. The tensors say the same for the published files, and the truth for
smaller ones, so nothing else in vtryon knows whether a model is a miniature.
"""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

HEAD = 128
"""Width of an attention head in the diffusion model and in the text encoder, whatever their size."""
VISION_HEAD = 80
"""The same in the text encoder's vision tower."""


def read_off_checkpoints() -> None:
    """Teach the ComfyUI that is imported. Call it once."""
    _teach_diffusion_model(importlib.import_module("comfy.model_detection"))
    _teach_text_encoder(importlib.import_module("comfy.sd"), importlib.import_module("comfy.text_encoders.qwen_vl"))


def _teach_diffusion_model(detection: Any) -> None:
    detect = detection.detect_unet_config

    def detect_with_sizes(tensors: Any, prefix: str, *args: Any, **kwargs: Any) -> Any:
        config = detect(tensors, prefix, *args, **kwargs)
        if config and config.get("image_model") == "qwen_image":
            config["num_attention_heads"] = tensors[f"{prefix}img_in.weight"].shape[0] // HEAD
            config["joint_attention_dim"] = tensors[f"{prefix}txt_norm.weight"].shape[0]
        return config

    detection.detect_unet_config = detect_with_sizes


def _teach_text_encoder(sd: Any, qwen_vl: Any) -> None:
    load = sd.load_text_encoder_state_dicts

    def load_with_sizes(state_dicts: list[Any], *args: Any, **kwargs: Any) -> Any:
        tensors = state_dicts[0]
        if "visual.patch_embed.proj.weight" not in tensors:
            return load(state_dicts, *args, **kwargs)
        options = {**kwargs.pop("model_options", {}), "qwen25_7b_model_config": _language_sizes(tensors)}
        with vision_tower_of(qwen_vl, _vision_sizes(tensors)):
            return load(state_dicts, *args, model_options=options, **kwargs)

    sd.load_text_encoder_state_dicts = load_with_sizes


@contextmanager
def vision_tower_of(qwen_vl: Any, sizes: Mapping[str, int]) -> Iterator[None]:
    """The text encoder makes its vision tower with fixed sizes: inside, it gets these. One model is made at a time."""
    tower = qwen_vl.Qwen2VLVisionTransformer
    qwen_vl.Qwen2VLVisionTransformer = lambda **given: tower(**{**given, **sizes})
    try:
        yield
    finally:
        qwen_vl.Qwen2VLVisionTransformer = tower


def _language_sizes(tensors: Mapping[str, Any]) -> dict[str, int]:
    # Biases, norms and first dimensions keep their length when the weights beside them are quantised.
    return {
        "hidden_size": tensors["model.layers.0.input_layernorm.weight"].shape[0],
        "intermediate_size": tensors["model.layers.0.mlp.gate_proj.weight"].shape[0],
        "num_hidden_layers": _count(tensors, "model.layers."),
        "num_attention_heads": tensors["model.layers.0.self_attn.q_proj.bias"].shape[0] // HEAD,
    }


def _vision_sizes(tensors: Mapping[str, Any]) -> dict[str, int]:
    width = tensors["visual.patch_embed.proj.weight"].shape[0]
    return {
        "hidden_size": width,
        "intermediate_size": tensors["visual.blocks.0.mlp.gate_proj.bias"].shape[0],
        "num_layers": _count(tensors, "visual.blocks."),
        "num_heads": width // VISION_HEAD,
    }


def _count(tensors: Mapping[str, Any], prefix: str) -> int:
    """How many numbered blocks there are under a prefix."""
    return len({name[len(prefix) :].split(".", 1)[0] for name in tensors if name.startswith(prefix)})
