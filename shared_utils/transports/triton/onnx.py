"""The exported VAE as models of Triton's ONNX Runtime backend."""

from collections.abc import Iterator
from pathlib import Path

from shared_utils.comfy.graphs import GRAPHS, Graph, Port
from shared_utils.errors import InvalidRequestError
from shared_utils.transports.triton.config import Model, onnx_model
from shared_utils.transports.triton.tensors import Tensor


def onnx_models(folder: Path) -> tuple[dict[Path, str], dict[Path, Path]]:
    """The configurations, by their paths in the repository; and what is to be copied, from where, likewise."""
    missing = [graph.file for graph in GRAPHS if not (folder / graph.file).is_file()]
    if missing:
        raise InvalidRequestError(
            f"No {' and no '.join(missing)} in {folder}. Make them: vtryon triton export-onnx --output {folder}"
        )
    texts = {Path(graph.name, "config.pbtxt"): configuration(graph) for graph in GRAPHS}
    return texts, dict(_copies(folder))


def configuration(graph: Graph) -> str:
    """The text of config.pbtxt."""
    return onnx_model(Model(graph.name, graph.purpose, [_tensor(graph.input)], [_tensor(graph.output)]))


def _tensor(port: Port) -> Tensor:
    dims = tuple(size if isinstance(size, int) else -1 for size in port.dims)
    return Tensor(port.name, "TYPE_FP32", dims, description=port.description)


def _copies(folder: Path) -> Iterator[tuple[Path, Path]]:
    for graph in GRAPHS:
        yield Path(graph.name, "1", "model.onnx"), folder / graph.file
