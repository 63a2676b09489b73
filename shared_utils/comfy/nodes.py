"""The one verb: run a node by its name, with the inputs that matter; the node's own schema fills in the rest.

So a chain reads like the workflow, and goes on working when a release of ComfyUI gives a node one more input.
"""

import inspect
from typing import Any

from shared_utils.comfy.one_thread import busy, on_the_nodes_thread
from shared_utils.comfy.progress import running
from shared_utils.comfy.runtime import Comfy
from shared_utils.errors import ComfyUIInitializationError

# Nodes that are not in ComfyUI's nodes.py, and the module that has them.
EXTRAS = {
    "CFGNorm": "comfy_extras.nodes_cfg",
    "ImageScaleToTotalPixels": "comfy_extras.nodes_post_processing",
    "ModelSamplingAuraFlow": "comfy_extras.nodes_model_advanced",
    "TextEncodeQwenImageEditPlus": "comfy_extras.nodes_qwen",
}
ASIDE = {"LoadImage", "ImageScaleToTotalPixels", "SaveImage"}
"""Nodes that touch no model and none of ComfyUI's state: they run beside another stage's node, which has the GPU."""


def run(comfy: Comfy, node: Any, **inputs: Any) -> Any:
    """Run a node, given by its name or as one that was made before, and return its first output.

    None of the nodes that we use has another output that we need."""
    name = node if isinstance(node, str) else type(node).__name__
    if isinstance(node, str):
        node = make(comfy, node)
    if name in ASIDE:
        return _run(node, name, inputs)
    with busy:
        return on_the_nodes_thread(lambda: _run(node, name, inputs))


def _run(node: Any, name: str, inputs: dict[str, Any]) -> Any:
    import torch  # noqa: PLC0415  where nothing runs, nothing of it is needed

    complete = {**_defaults(type(node), inputs), **inputs}
    with running(name), torch.inference_mode():
        new_style = hasattr(node, "define_schema")
        outcome = node.execute(**complete) if new_style else getattr(node, node.FUNCTION)(**complete)
    return _first(outcome)


def make(comfy: Comfy, node: str) -> Any:
    """A node to run more than once: some keep what they have read."""
    return _node_class(comfy, node)()


def _node_class(comfy: Comfy, node: str) -> Any:
    if node in EXTRAS:
        kind = getattr(comfy.module(EXTRAS[node]), node, None)
    else:
        kind = comfy.nodes.NODE_CLASS_MAPPINGS.get(node)
    if kind is None:
        raise ComfyUIInitializationError(
            f"The ComfyUI at {comfy.tree} has no node {node}. Unset COMFYUI_PATH to use the tested release."
        )
    return kind


def _defaults(kind: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Values for the inputs that the node insists on and the caller left out."""
    function = kind.execute if hasattr(kind, "define_schema") else getattr(kind, kind.FUNCTION)
    missing = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and parameter.name not in (*given, "self")
    ]
    if not missing:
        return {}
    schema = _new_style_defaults(kind) if hasattr(kind, "define_schema") else _old_style_defaults(kind)
    return {name: schema[name] for name in missing if name in schema}


def _new_style_defaults(kind: Any) -> dict[str, Any]:
    return {entry.id: entry.default for entry in kind.define_schema().inputs if hasattr(entry, "default")}


def _old_style_defaults(kind: Any) -> dict[str, Any]:
    groups = kind.INPUT_TYPES()
    entries = {**groups.get("required", {}), **groups.get("optional", {})}
    defaults = {}
    for name, (kind_or_choices, *options) in entries.items():
        if options and "default" in options[0]:
            defaults[name] = options[0]["default"]
        elif isinstance(kind_or_choices, list) and kind_or_choices:
            defaults[name] = kind_or_choices[0]
    return defaults


def _first(outcome: Any) -> Any:
    """Old nodes return a tuple, or a dict that may have one; new ones an object with one."""
    if isinstance(outcome, dict):
        outcome = outcome.get("result", (None,))
    return getattr(outcome, "result", outcome)[0]
