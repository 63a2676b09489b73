"""ComfyUI started headless: no server, no front end, none of its command line; once for a process."""

import atexit
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from shared_utils.comfy import sizes
from shared_utils.comfy.one_thread import busy
from shared_utils.comfy.progress import comfy_hook
from shared_utils.comfy.provision import find_tree
from shared_utils.errors import ComfyUIInitializationError, VtryonError, first_line
from shared_utils.settings import Settings

log = logging.getLogger("vtryon.comfyui")

MODEL_FOLDERS = ("diffusion_models", "text_encoders", "vae", "loras")


@dataclass(frozen=True)
class Comfy:
    """A started ComfyUI. Its modules are not typed, so they are Any here and nowhere else."""

    tree: Path
    input_dir: Path
    """LoadImage reads from here only; private to this process."""
    output_dir: Path
    """SaveImage writes to here only; private to this process."""
    nodes: Any
    folder_paths: Any

    def module(self, name: str) -> Any:
        return importlib.import_module(name)


_started: Comfy | None = None


def start(settings: Settings) -> Comfy:
    """Start ComfyUI, or return the one that runs."""
    global _started  # noqa: PLW0603  as global as ComfyUI itself
    with busy:
        if _started is None:
            _started = _start(settings)
        return _started


def _start(settings: Settings) -> Comfy:
    tree = find_tree(settings)
    with _saying_what_failed(tree):
        _prepare_imports(tree, settings)
        _choose_device(settings)
        comfy = _import_nodes(tree)
    log.info("ComfyUI %s is ready, on %s", version(comfy), device_name(comfy))
    return comfy


def open_folders(settings: Settings) -> Any:
    """ComfyUI's own register of model folders, set up for these settings. Needs no PyTorch, so it is quick."""
    tree = find_tree(settings)
    with busy, _saying_what_failed(tree):
        _prepare_imports(tree, settings)
        folder_paths: Any = importlib.import_module("folder_paths")
        pristine = folder_paths.__dict__.setdefault("_vtryon_pristine", dict(folder_paths.folder_names_and_paths))
        folder_paths.folder_names_and_paths = {
            name: (list(folders), extensions) for name, (folders, extensions) in pristine.items()
        }
        folder_paths.filename_list_cache.clear()
        if settings.extra_model_paths:
            importlib.import_module("utils.extra_config").load_extra_path_config(str(settings.extra_model_paths))
        # The last one added as default is looked at first; "clip" is the old name of "text_encoders".
        for name in ("clip", *MODEL_FOLDERS):
            folder_paths.add_model_folder_path(name, str(settings.model_dir.resolve() / name), is_default=True)
        return folder_paths


@contextmanager
def _saying_what_failed(tree: Path) -> Iterator[None]:
    try:
        yield
    except VtryonError:
        raise
    except (Exception, SystemExit) as cause:  # its argument parser exits
        raise ComfyUIInitializationError(
            f"ComfyUI at {tree} did not start: {type(cause).__name__}: {first_line(cause)}. "
            "If something is missing, install vtryon[stages]; if this tree is of another version, unset COMFYUI_PATH."
        ) from cause


def _prepare_imports(tree: Path, settings: Settings) -> None:
    if str(tree) not in sys.path:
        sys.path.insert(0, str(tree))
    stand_in_for("torchvision", "torchaudio")
    if "comfy.cli_args" not in sys.modules:
        # ComfyUI's flags are its settings, so they are given as it expects them: on a command line that it parses.
        importlib.import_module("comfy.options").enable_args_parsing()
        ours, sys.argv = sys.argv, ["vtryon", *flags(settings)]
        try:
            importlib.import_module("comfy.cli_args")
        finally:
            sys.argv = ours


def flags(settings: Settings) -> list[str]:
    # The previews are the latent's colours by a fixed matrix: cheap, and the latent stays as it is.
    flags = ["--disable-metadata", "--disable-all-custom-nodes", "--preview-method", "latent2rgb"]
    if settings.comfyui_memory_mode != "auto":
        flags.append(f"--{settings.comfyui_memory_mode}")
    if settings.comfyui_reserve_gb is not None:
        flags.append(f"--reserve-vram={settings.comfyui_reserve_gb}")
    if settings.comfyui_dtype != "auto":
        flags += [f"--{settings.comfyui_dtype}-{part}" for part in ("unet", "vae", "text-enc")]
    if settings.comfyui_fast:
        flags += ["--fast", *settings.comfyui_fast]
    if not settings.comfyui_pinned_memory:
        flags.append("--disable-pinned-memory")
    if settings.comfyui_attention in ("pytorch", "split", "quad"):
        flags.append(f"--use-{settings.comfyui_attention}-cross-attention")
    elif settings.comfyui_attention != "auto":
        flags.append(f"--use-{settings.comfyui_attention}-attention")
    return flags


def _choose_device(settings: Settings) -> None:
    """Before anything of ComfyUI asks PyTorch for one."""
    if settings.comfyui_device.isdigit():
        os.environ["CUDA_VISIBLE_DEVICES"] = settings.comfyui_device
    torch: Any = importlib.import_module("torch")
    nothing_there = not torch.accelerator.is_available()
    if settings.comfyui_device.isdigit() and nothing_there:
        raise ComfyUIInitializationError(
            f"COMFYUI_DEVICE={settings.comfyui_device}, but PyTorch sees no such GPU. "
            "Check the driver and that PyTorch was built for it, or set COMFYUI_DEVICE=auto."
        )
    args = importlib.import_module("comfy.cli_args").args
    args.cpu = settings.comfyui_device == "cpu" or nothing_there


def _import_nodes(tree: Path) -> Comfy:
    nodes = importlib.import_module("nodes")
    folder_paths = importlib.import_module("folder_paths")
    sizes.read_off_checkpoints()
    utils: Any = importlib.import_module("comfy.utils")
    utils.set_progress_bar_global_hook(comfy_hook)
    # ComfyUI leaves out steps that follow each other fast. A job is stopped at a step, so we want to hear of all.
    utils.PROGRESS_THROTTLE_MIN_INTERVAL = utils.PROGRESS_THROTTLE_MIN_PERCENT = 0
    utils.set_progress_bar_enabled(False)  # the sampler's own bar: progress goes through the hook
    private = tempfile.TemporaryDirectory(prefix="vtryon-", ignore_cleanup_errors=True)
    atexit.register(private.cleanup)
    input_dir, output_dir = Path(private.name) / "input", Path(private.name) / "output"
    input_dir.mkdir()
    output_dir.mkdir()
    folder_paths.set_input_directory(str(input_dir))
    folder_paths.set_output_directory(str(output_dir))
    return Comfy(tree, input_dir, output_dir, nodes, folder_paths)


def version(comfy: Comfy) -> str:
    return str(comfy.module("comfyui_version").__version__)


def device_name(comfy: Comfy) -> str:
    management = comfy.module("comfy.model_management")
    return str(management.get_torch_device_name(management.get_torch_device()))


class _StandIn(ModuleType):
    """A package that ComfyUI imports at module level and that no node of ours uses."""

    __path__: list[str] = []  # noqa: RUF012  what makes it a package

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _StandInFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name.split(".", maxsplit=1)[0] != self.package:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def stand_in_for(*packages: str) -> None:
    """Where a package can't be imported, let ComfyUI import something of its name."""
    for package in packages:
        if package in sys.modules or any(
            isinstance(finder, _StandInFinder) and finder.package == package for finder in sys.meta_path
        ):
            continue
        try:
            importlib.import_module(package)
        except Exception as unusable:  # a wheel for another PyTorch fails in many ways, and no node of ours needs it
            log.debug("a stand-in takes the place of %s: %s", package, first_line(unusable))
            for name in [name for name in sys.modules if name.split(".")[0] == package]:
                del sys.modules[name]
            sys.meta_path.insert(0, _StandInFinder(package))
