"""The exported VAE in ONNX Runtime, held against VAEEncode and VAEDecode."""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from shared_utils.comfy import nodes
from shared_utils.comfy.graphs import DECODER, ENCODER, Graph
from shared_utils.comfy.runtime import Comfy
from shared_utils.errors import InternalError

SIZES = ((64, 64), (256, 256), (320, 192), (203, 149), (192, 320))
"""Height and width: squares, upright and wide ones, and one that has to be cropped."""
ALLOWED = 1e-3
"""Of a pixel from 0 to 1 it is a quarter of the step between two values of a PNG."""


@dataclass(frozen=True)
class Difference:
    """Between the node's result and ONNX Runtime's, for one picture."""

    model: str
    height: int
    width: int
    largest: float
    mean: float
    reach: float
    """The largest number in the node's result, without its sign: what the differences are to be seen beside."""


class Checker:
    """Runs both. Keeps what ONNX Runtime makes of the models."""

    def __init__(self, comfy: Comfy, vae: Any, contents: Mapping[Graph, bytes]) -> None:
        runtime: Any = importlib.import_module("onnxruntime")
        self._comfy = comfy
        self._vae = vae
        self._sessions = {
            graph: runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
            for graph, content in contents.items()
        }

    def differences(self) -> Iterator[Difference]:
        """Both models at all sizes; fails at the first that differs by more than is allowed."""
        for height, width in SIZES:
            picture = _picture(height, width)
            latent = nodes.run(self._comfy, "VAEEncode", pixels=picture, vae=self._vae)["samples"]
            yield self._difference(ENCODER, picture, latent)
            decoded = nodes.run(self._comfy, "VAEDecode", samples={"samples": latent}, vae=self._vae)
            yield self._difference(DECODER, latent, decoded)

    def _difference(self, graph: Graph, given: Tensor, expected: Tensor) -> Difference:
        height, width = (given if graph is ENCODER else expected).shape[1:3]
        (made,) = self._sessions[graph].run([graph.output.name], {graph.input.name: given.numpy()})
        if made.shape != tuple(expected.shape):
            raise InternalError(f"{graph.name} made {made.shape} at {height} x {width}, not {tuple(expected.shape)}.")
        apart = (torch.from_numpy(made) - expected).abs()
        found = Difference(
            graph.name, height, width, apart.max().item(), apart.mean().item(), expected.abs().max().item()
        )
        if not found.largest <= ALLOWED:
            raise InternalError(
                f"{graph.name} differs from ComfyUI's node by {found.largest:.2g} at {height} x {width}, "
                f"and {ALLOWED:g} is allowed. Its export can't be used; please report it."
            )
        return found


def _picture(height: int, width: int) -> Tensor:
    """Soft patches of colour with a little noise: nearer to a photo than noise alone, and the same each time."""
    generator = torch.Generator().manual_seed(height * width)
    patches = torch.rand(1, 3, 6, 6, generator=generator)
    soft = torch.nn.functional.interpolate(patches, (height, width), mode="bicubic")
    noise = 0.02 * torch.randn(soft.shape, generator=generator)
    return (soft + noise).clamp(0, 1).movedim(1, -1).contiguous()
