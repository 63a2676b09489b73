"""Every setting for ComfyUI reaches it as a flag that its own parser knows."""

from typing import Any, get_args

import pytest

from shared_utils.comfy.runtime import Comfy, flags
from shared_utils.settings import Fast, Settings


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"comfyui_memory_mode": "gpu-only"}, {"gpu_only": True}),
        ({"comfyui_memory_mode": "highvram"}, {"highvram": True}),
        ({"comfyui_memory_mode": "lowvram"}, {"lowvram": True}),
        ({"comfyui_memory_mode": "novram"}, {"novram": True}),
        ({"comfyui_reserve_gb": 1.5}, {"reserve_vram": 1.5}),
        ({"comfyui_dtype": "fp32"}, {"fp32_unet": True, "fp32_vae": True, "fp32_text_enc": True}),
        ({"comfyui_dtype": "fp16"}, {"fp16_unet": True, "fp16_vae": True, "fp16_text_enc": True}),
        ({"comfyui_dtype": "bf16"}, {"bf16_unet": True, "bf16_vae": True, "bf16_text_enc": True}),
        ({"comfyui_attention": "pytorch"}, {"use_pytorch_cross_attention": True}),
        ({"comfyui_attention": "split"}, {"use_split_cross_attention": True}),
        ({"comfyui_attention": "quad"}, {"use_quad_cross_attention": True}),
        ({"comfyui_attention": "sage"}, {"use_sage_attention": True}),
        ({"comfyui_attention": "flash"}, {"use_flash_attention": True}),
        ({"comfyui_pinned_memory": False}, {"disable_pinned_memory": True}),
        ({}, {"disable_pinned_memory": False, "fast": None}),
        ({}, {"lowvram": False, "reserve_vram": None, "fp32_unet": False, "use_pytorch_cross_attention": False}),
    ],
    ids=str,
)
def test_settings_become_flags(comfy: Comfy, settings: dict[str, Any], expected: dict[str, Any]) -> None:
    parsed = vars(comfy.module("comfy.cli_args").parser.parse_args(flags(Settings(**settings))))
    assert {name: parsed[name] for name in expected} == expected


def test_what_is_to_be_fast(comfy: Comfy) -> None:
    choices: Any = get_args(Fast)
    arguments = comfy.module("comfy.cli_args")
    assert {*choices} == {feature.value for feature in arguments.PerformanceFeature}
    for choice in (choices[:1], choices):
        parsed = arguments.parser.parse_args(flags(Settings(comfyui_fast=choice, comfyui_attention="pytorch")))
        assert [feature.value for feature in parsed.fast] == [*choice]
        assert parsed.use_pytorch_cross_attention


def test_what_is_running_is_what_was_asked_for(comfy: Comfy) -> None:
    args = comfy.module("comfy.cli_args").args
    assert args.cpu
    assert args.use_pytorch_cross_attention
    assert str(comfy.module("comfy.model_management").get_torch_device()) == "cpu"


def test_only_the_nodes_that_are_used_are_loaded(comfy: Comfy) -> None:
    """No server, no front end, and none of the hundred modules of extra nodes."""
    import sys

    assert "server" not in sys.modules
    assert "aiohttp" not in sys.modules
    extras = {name for name in sys.modules if name.startswith("comfy_extras.nodes_")}
    assert len(extras) < 10
