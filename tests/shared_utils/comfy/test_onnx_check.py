"""The check tells a right export from a wrong one."""

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from shared_utils.comfy.graphs import DECODER, ENCODER, GRAPHS, Graph
from shared_utils.comfy.onnx_check import ALLOWED, SIZES, Checker, Difference
from shared_utils.comfy.runtime import Comfy
from shared_utils.errors import InternalError
from tests.shared_utils.comfy.vae_onnx import vae_onnx, wider_vae


def checked(comfy: Comfy, contents: Mapping[Graph, bytes]) -> list[Difference]:
    return list(Checker(comfy, wider_vae(comfy), contents).differences())


def test_a_right_export(comfy: Comfy) -> None:
    found = checked(comfy, vae_onnx(comfy))
    assert [each.model for each in found] == [graph.name for graph in GRAPHS] * len(SIZES)
    assert [(each.height, each.width) for each in found if each.model == ENCODER.name] == list(SIZES)
    assert all(each.mean <= each.largest <= ALLOWED / 50 for each in found)
    assert all(each.reach > 0.1 for each in found)  # else nothing would be compared


def test_a_wrong_export(comfy: Comfy) -> None:
    """One number of the last layer."""
    model = onnx.load_from_string(vae_onnx(comfy)[DECODER])
    bias = next(each for each in model.graph.initializer if each.name.endswith("head.2.bias"))
    off = numpy_helper.to_array(bias) + np.array([0.01, 0, 0], dtype=np.float32)
    bias.CopyFrom(numpy_helper.from_array(off, bias.name))
    with pytest.raises(InternalError, match=r"vae_decoder differs .* by 0\.005 at 64 x 64"):
        checked(comfy, {**vae_onnx(comfy), DECODER: model.SerializeToString()})
