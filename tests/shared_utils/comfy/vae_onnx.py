"""A miniature VAE and what is exported of it, once for all tests: it takes its time.

The VAE of the other tests is too thin to compare by. Where it normalises two channels, a last bit can become a
thousandth; so far apart is ComfyUI from itself in FP32 and FP64.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from shared_utils.comfy.graphs import GRAPHS, Graph
from shared_utils.comfy.loader import Models
from shared_utils.comfy.miniature import Sizes, write_miniatures
from shared_utils.comfy.onnx import exported
from shared_utils.comfy.runtime import Comfy
from shared_utils.contracts import VAE
from shared_utils.settings import Settings

NOTES = {"vae": VAE}


def write_models(comfy: Comfy, folder: Path, seed: int = 1) -> None:
    """With this seed the VAE below."""
    write_miniatures(comfy, folder, seed=seed, sizes=Sizes(layers=1, text_layers=1, vae_width=8))


@cache
def wider_vae(comfy: Comfy) -> Any:
    with TemporaryDirectory() as folder:
        write_models(comfy, Path(folder))
        return Models(Settings(model_dir=Path(folder))).vae(VAE)


@cache
def vae_onnx(comfy: Comfy) -> Mapping[Graph, bytes]:
    """The content of the two files."""
    return {graph: exported(comfy, wider_vae(comfy), graph, NOTES) for graph in GRAPHS}
