"""The VAE as ONNX, in FP32, for one picture of any size.

The layers are ComfyUI's own. Two kinds are put more simply, with the same result for one picture: this VAE is one for
videos, which convolves in three dimensions; of a single frame, two do the same.
"""

import copy
import importlib
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from shared_utils.comfy.graphs import ENCODER, Graph
from shared_utils.comfy.runtime import Comfy
from shared_utils.errors import VAEModelInvalidError

OPSET = 18
"""Old enough for the ONNX Runtime and TensorRT of any Triton since 2023."""
EXAMPLE = {"height": 200, "width": 152, "latent_height": 25, "latent_width": 19}
"""The sizes to trace with. That the graph holds for others is for onnx_check.py to show."""
STEP = 8
"""Pixels of a side for one number of the latent."""


def exported(comfy: Comfy, vae: Any, graph: Graph, notes: Mapping[str, str]) -> bytes:
    """The content of the .onnx file. The notes go into its metadata."""
    model = _for_one_picture(comfy, vae)
    half = _Encoder(model, vae.process_input) if graph is ENCODER else _Decoder(model, vae.process_output)
    example = torch.zeros([size if isinstance(size, int) else EXAMPLE[size] for size in graph.input.dims])
    with torch.inference_mode(), warnings.catch_warnings():
        # Of PyTorch about itself.
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        program: Any = torch.onnx.export(
            half.eval(),
            (example,),
            input_names=[graph.input.name],
            output_names=[graph.output.name],
            dynamic_shapes=({axis: size for axis, size in enumerate(graph.input.dims) if isinstance(size, str)},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    return _content(program.model_proto, graph, notes)


def _for_one_picture(comfy: Comfy, vae: Any) -> Any:
    """A copy of the network in FP32, fit to be traced."""
    wan = comfy.module("comfy.ldm.wan.vae")
    attention = comfy.module("comfy.ldm.modules.diffusionmodules.model").pytorch_attention
    if not isinstance(vae.first_stage_model, wan.WanVAE):
        raise VAEModelInvalidError("Only a VAE like Qwen-Image's can be exported to ONNX; this is of another kind.")
    model = copy.deepcopy(vae.first_stage_model).cpu().float()
    for module in list(model.modules()):
        if isinstance(module, wan.AttentionBlock):
            module.optimized_attention = attention  # others look at the free memory, which a graph can't
        for name, layer in list(module.named_children()):
            if isinstance(layer, wan.CausalConv3d):
                setattr(module, name, _OneFrame(layer))
            elif isinstance(layer, nn.Upsample):
                # Exactly doubled, both kinds of nearest take the same pixel. This one is an operator of ONNX.
                layer.mode = "nearest"
    return model


class _OneFrame(nn.Module):
    """What a CausalConv3d does to one frame: those before it are zeros, so only the last weights in time count."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.weight[:, :, -1].clone())
        self.bias = layer.bias
        self.padding = layer.padding[1:]

    def forward(self, frame: Tensor) -> Tensor:
        return nn.functional.conv2d(frame.squeeze(2), self.weight, self.bias, padding=self.padding).unsqueeze(2)


class _Encoder(nn.Module):
    """VAE.encode of ComfyUI, without what it does for memory, batches and other VAEs."""

    def __init__(self, model: Any, process_input: Any) -> None:
        super().__init__()
        self.model = model
        self.process_input = process_input

    def forward(self, pixels: Tensor) -> Any:
        height, width = pixels.shape[1:3]
        top, left = height % STEP // 2, width % STEP // 2
        cropped = pixels.narrow(1, top, height // STEP * STEP).narrow(2, left, width // STEP * STEP)
        return self.model.encode(self.process_input(cropped.movedim(-1, 1)).unsqueeze(2))


class _Decoder(nn.Module):
    """VAE.decode of ComfyUI likewise."""

    def __init__(self, model: Any, process_output: Any) -> None:
        super().__init__()
        self.model = model
        self.process_output = process_output

    def forward(self, latent: Tensor) -> Any:
        return self.process_output(self.model.decode(latent)).movedim(1, -1).squeeze(1)


def _content(model: Any, graph: Graph, notes: Mapping[str, str]) -> bytes:
    """Without where each node came from: the exporter notes the lines of code, with this machine's paths."""
    onnx: Any = importlib.import_module("onnx")
    for part in (model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info):
        del part.metadata_props[:]
    for port in (*model.graph.input, *model.graph.output):
        del port.metadata_props[:]
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {"purpose": graph.purpose, **notes})
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content
