"""`vtryon triton export-onnx`: the VAE as ONNX, written only if ONNX Runtime gives what ComfyUI gives."""

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from shared_utils.artifacts.paths import write_whole
from shared_utils.errors import ComfyUIInitializationError
from shared_utils.settings import Settings

MODULES = ("loader", "onnx", "onnx_check", "graphs", "miniature")


def run(settings: Settings, given: argparse.Namespace) -> int:
    """Export, and print how near it is."""
    for file in export(settings, given.vae_model_name, given.output):
        _print(f"wrote {file}  {file.stat().st_size / 1e6:.1f} MB")
    _print(f"Serve them: vtryon triton build --onnx {given.output}")
    return 0


def export(settings: Settings, name: str, folder: Path) -> list[Path]:
    """Write both halves of the VAE to the folder; neither of them, if one is too far off."""
    loader, onnx, check, graphs, about = _modules()
    # The graph is traced and compared where FP32 is FP32; whoever serves it may use a GPU.
    models: Any = loader.Models(settings.model_copy(update={"comfyui_device": "cpu", "comfyui_dtype": "fp32"}))
    vae = models.vae(name)
    miniature = about.kind_of(models.find(loader.VAE, name))
    notes = {"vae": name, **({about.KEY: miniature} if miniature else {})}
    _print(f"exporting {name}{f' ({miniature})' if miniature else ''} in FP32; takes a minute or two")
    contents = {graph: onnx.exported(models.comfy, vae, graph, notes) for graph in graphs.GRAPHS}
    _print("ONNX Runtime against ComfyUI's nodes, on the CPU:")
    for found in check.Checker(models.comfy, vae, contents).differences():
        _print(
            f"  {found.model}  {found.height:>4} x {found.width:<4} largest difference {found.largest:.1e}, "
            f"mean {found.mean:.1e}, of numbers up to {found.reach:.2f}"
        )
    files = {folder / graph.file: content for graph, content in contents.items()}
    write_whole(files)
    return list(files)


def _modules() -> list[Any]:
    """Here, since the other commands do without PyTorch and ONNX; and all at once, before a minute is spent."""
    try:
        for package in ("onnx", "onnxscript", "onnxruntime"):
            import_module(package)
        return [import_module(f"shared_utils.comfy.{name}") for name in MODULES]
    except ImportError as missing:
        raise ComfyUIInitializationError(
            f"{missing.name} is not installed: to export to ONNX, pip install 'vtryon[stages,onnx]'."
        ) from None


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201
