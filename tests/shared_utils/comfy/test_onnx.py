"""The VAE as ONNX gives what VAEEncode and VAEDecode give, at any size, in ONNX Runtime."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor

from shared_utils.comfy import nodes
from shared_utils.comfy.graphs import DECODER, ENCODER, GRAPHS, Graph
from shared_utils.comfy.onnx import exported
from shared_utils.comfy.runtime import Comfy
from shared_utils.errors import VAEModelInvalidError
from tests.shared_utils.comfy.vae_onnx import NOTES, vae_onnx, wider_vae

CLOSE = 2e-5
"""So far apart FP32 may come in some thirty layers. One step of a PNG is 200 times that."""


def made(comfy: Comfy, graph: Graph, given: Tensor) -> Tensor:
    return computed(vae_onnx(comfy)[graph], graph, given)


def computed(content: bytes, graph: Graph, given: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (result,) = session.run([graph.output.name], {graph.input.name: given.numpy()})
    return torch.from_numpy(result)


def encoded(comfy: Comfy, pixels: Tensor) -> Any:
    return nodes.run(comfy, "VAEEncode", pixels=pixels, vae=wider_vae(comfy))["samples"]


def decoded(comfy: Comfy, latent: Tensor) -> Any:
    return nodes.run(comfy, "VAEDecode", samples={"samples": latent}, vae=wider_vae(comfy))


@contextmanager
def stronger(layer: Any) -> Iterator[None]:
    with torch.inference_mode():
        layer.weight.mul_(4)
    try:
        yield
    finally:
        with torch.inference_mode():
            layer.weight.div_(4)  # exactly what it was: powers of two


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(shape[-1]))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (192, 320), (320, 192), (203, 149), (71, 64), (16, 17)])
def test_the_encoder(comfy: Comfy, height: int, width: int) -> None:
    pixels = random(1, 3, height, width).sigmoid().movedim(1, -1).contiguous()
    torch.testing.assert_close(made(comfy, ENCODER, pixels), encoded(comfy, pixels), rtol=0, atol=CLOSE)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (24, 40), (40, 24), (25, 19), (1, 1)])
def test_the_decoder(comfy: Comfy, height: int, width: int) -> None:
    latent = random(1, 16, 1, height, width)
    torch.testing.assert_close(made(comfy, DECODER, latent), decoded(comfy, latent), rtol=0, atol=CLOSE)


def test_pixels_are_cut_off_at_black_and_white(comfy: Comfy) -> None:
    """Which the miniature hardly reaches, so here its last layer is four times as strong."""
    latent = random(1, 16, 1, 16, 16)
    model = onnx.load_from_string(vae_onnx(comfy)[DECODER])
    weight = next(each for each in model.graph.initializer if each.name.endswith("head.2.weight"))
    weight.CopyFrom(numpy_helper.from_array(4 * numpy_helper.to_array(weight), weight.name))
    with stronger(wider_vae(comfy).first_stage_model.decoder.head[2]):
        expected = decoded(comfy, latent)
    assert (expected.min(), expected.max()) == (0, 1)
    pixels = computed(model.SerializeToString(), DECODER, latent)
    torch.testing.assert_close(pixels, expected, rtol=0, atol=4 * CLOSE)


def test_the_loaded_vae_stays_as_it_is(comfy: Comfy) -> None:
    vae_onnx(comfy)
    model = wider_vae(comfy).first_stage_model
    assert {layer.mode for layer in model.modules() if isinstance(layer, torch.nn.Upsample)} == {"nearest-exact"}
    assert sum(type(layer).__name__ == "CausalConv3d" for layer in model.modules()) > 50


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.name)
def test_what_any_triton_of_these_years_reads(comfy: Comfy, graph: Graph) -> None:
    model = onnx.load_from_string(vae_onnx(comfy)[graph])
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 18)]
    assert model.ir_version <= 10


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.name)
def test_it_says_what_it_is_and_nothing_of_the_machine(comfy: Comfy, graph: Graph) -> None:
    content = vae_onnx(comfy)[graph]
    said = {each.key: each.value for each in onnx.load_from_string(content).metadata_props}
    assert said == {"purpose": graph.purpose, **NOTES}
    assert b".py" not in content


def test_another_vae_is_refused(comfy: Comfy) -> None:
    another = SimpleNamespace(first_stage_model=torch.nn.Identity())
    with pytest.raises(VAEModelInvalidError, match="Qwen-Image"):
        exported(comfy, another, ENCODER, {})
