"""This machine: its folders, the models, ComfyUI and the GPU."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from orchestrator.cli.checks.finding import Finding
from orchestrator.config import Config
from shared_utils.settings import cache_dir

START_SECONDS = 300
NETWORKED = {"nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "afs", "9p", "virtiofs"}
# ComfyUI keeps its state in globals and takes seconds to start: it is tried in a process of its own.
START_COMFYUI = """
from shared_utils.comfy.runtime import device_name, start, version
from shared_utils.errors import VtryonError
from shared_utils.settings import Settings
try:
    comfy = start(Settings.read())
except VtryonError as failed:
    print("FAIL", failed.message, sep="\\t")
else:
    import torch
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    print("ok", version(comfy), device_name(comfy), gpus, sep="\\t")
"""


def folders(config: Config) -> Iterator[Finding]:
    """Where files go. Whether other machines see them can be told from the kind of file system only."""
    for title, given in (("intermediate_dir", config.intermediate_dir), ("output_dir", Path(config.output_dir))):
        folder = given.absolute()
        existing = _existing(folder)
        problem = _try_to_write(existing)
        if problem:
            yield Finding(
                "FAIL",
                title,
                f"{folder}: {problem}. Set {title.upper()} to a folder that the services may write to.",
            )
        else:
            kind = _file_system(existing)
            made = "" if existing == folder else ", it is made when first used"
            yield Finding("ok", title, f"{folder} can be written to{made}; {_who_sees(kind)}")


def _existing(folder: Path) -> Path:
    return next((each for each in (folder, *folder.parents) if each.exists()), folder)


def _try_to_write(folder: Path) -> str | None:
    """Write, read, and remove a file; what is wrong, if something is."""
    probe, content = folder / f".{secrets.token_hex(8)}.part", secrets.token_bytes(64)
    try:
        try:
            probe.write_bytes(content)
            return None if probe.read_bytes() == content else "what is written there is not what is read"
        finally:
            probe.unlink(missing_ok=True)
    except OSError as denied:
        return f"{denied.strerror}"


def _file_system(folder: Path) -> str:
    """The kind of the file system that the folder is on, as Linux names it."""
    mounts = Path("/proc/self/mounts")
    if not mounts.is_file():
        return "unknown"
    device, found, longest = str(folder.resolve()), "unknown", -1
    for line in mounts.read_text().splitlines():
        _, where, kind, *_ = line.split(" ")
        where = where.replace("\\040", " ")
        if Path(device).is_relative_to(where) and len(where) >= longest:
            found, longest = kind, len(where)
    return found


def _who_sees(kind: str) -> str:
    if kind in NETWORKED or kind.startswith("fuse."):
        return f"a shared file system ({kind}): all services must mount it under this path"
    if kind == "unknown":
        return "whether other machines see it can't be told here"
    return f"a local disk ({kind}): only services on this machine see it"


def models(config: Config) -> Iterator[Finding]:
    """The workflow's four files. Looking needs ComfyUI's tree, and must not fetch it."""
    if _tree(config) is None:
        yield Finding("warn", "models", "not looked for: ComfyUI is not here yet")
        return
    # ComfyUI's own register of folders is for those who look only.
    from orchestrator.cli.model_files import WORKFLOW  # noqa: PLC0415
    from shared_utils.comfy.loader import find_model  # noqa: PLC0415
    from shared_utils.comfy.miniature import kind_of  # noqa: PLC0415
    from shared_utils.errors import VtryonError  # noqa: PLC0415

    for kind, name in WORKFLOW:
        try:
            file = find_model(config, kind, name)
        except VtryonError:
            yield Finding(
                "warn",
                kind.title,
                f"{name} is not in {config.model_dir.absolute()}/{kind.folder}. Workers here would need it: "
                "set MODEL_DIR to where it is, or see `vtryon models list`.",
            )
        else:
            miniature = kind_of(file)
            yield Finding("ok", kind.title, f"{file}, a {miniature}" if miniature else str(file))


def _tree(config: Config) -> Path | None:
    """Where ComfyUI is, if it is anywhere."""
    from shared_utils.comfy.provision import VERSION  # noqa: PLC0415

    tree = cache_dir() / "comfyui" / VERSION if config.comfyui_path is None else config.comfyui_path.expanduser()
    return tree if (tree / "nodes.py").is_file() else None


def comfyui(config: Config) -> Iterator[Finding]:
    """Started, as a worker would."""
    if _tree(config) is None:
        if config.comfyui_path is not None:
            yield Finding(
                "FAIL", "comfyui", f"COMFYUI_PATH={config.comfyui_path} holds no ComfyUI; unset it or mend it."
            )
        else:
            yield Finding(
                "warn", "comfyui", "not here yet; a worker fetches it: python -m shared_utils.comfy.provision"
            )
        return
    try:
        tried = subprocess.run(
            [sys.executable, "-c", START_COMFYUI],
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            env=os.environ | {"LOG_LEVEL": "ERROR"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield Finding("FAIL", "comfyui", f"it did not start within {START_SECONDS} seconds")
        return
    state, *told = (tried.stdout.strip().splitlines() or [""])[-1].split("\t")
    if state == "ok":
        version, device, gpus = told
        yield Finding("ok", "comfyui", f"{version} starts, on {device}")
        yield _gpu(int(gpus), device)
    else:
        said = told[0] if told else (tried.stderr.strip().splitlines() or ["it said nothing"])[-1]
        yield Finding("FAIL", "comfyui", said)


def _gpu(count: int, device: str) -> Finding:
    if count:
        return Finding("ok", "gpu", f"PyTorch sees {count}")
    if device != "cpu":
        return Finding("ok", "gpu", f"no CUDA; PyTorch uses {device}")
    return Finding("warn", "gpu", "PyTorch sees none: miniatures run on the CPU; the real models are made for a GPU")
