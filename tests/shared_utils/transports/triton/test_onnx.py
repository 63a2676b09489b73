"""The exported VAE in the model repository: its configurations fit what was exported."""

from pathlib import Path
from typing import Any

import onnx
import pytest

from shared_utils.comfy.graphs import GRAPHS, Graph
from shared_utils.comfy.runtime import Comfy
from shared_utils.errors import InvalidRequestError
from shared_utils.transports.triton.onnx import onnx_models
from tests.shared_utils.comfy.vae_onnx import vae_onnx
from tests.shared_utils.transports.triton.configs import kinds, read


def exported_kinds(tensors: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Likewise of an ONNX model; a size without a number is a request's to choose."""
    return {
        tensor.name: (
            f"TYPE_{onnx.TensorProto.DataType.Name(tensor.type.tensor_type.elem_type).replace('FLOAT', 'FP32')}",
            tuple(dim.dim_value or -1 for dim in tensor.type.tensor_type.shape.dim),
        )
        for tensor in tensors
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for graph in GRAPHS:
        (tmp_path / graph.file).touch()
    return tmp_path


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.name)
def test_the_configuration_names_what_the_model_has(comfy: Comfy, folder: Path, graph: Graph) -> None:
    config = read(onnx_models(folder)[0][Path(graph.name, "config.pbtxt")])
    model = onnx.load_from_string(vae_onnx(comfy)[graph]).graph
    assert (config.name, config.platform, config.max_batch_size) == (graph.name, "onnxruntime_onnx", 0)
    assert kinds(config.input) == exported_kinds(model.input)
    assert kinds(config.output) == exported_kinds(model.output)


def test_the_files(folder: Path) -> None:
    assert onnx_models(folder)[1] == {
        Path("vae_encoder/1/model.onnx"): folder / "vae_encoder.onnx",
        Path("vae_decoder/1/model.onnx"): folder / "vae_decoder.onnx",
    }


def test_nothing_exported_yet(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"No vae_encoder\.onnx and no vae_decoder\.onnx .* export-onnx"):
        onnx_models(tmp_path)
