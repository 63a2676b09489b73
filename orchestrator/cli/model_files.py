"""What is in the model folders, and a set of miniatures for machines without the real ones."""

import argparse
from pathlib import Path

from shared_utils import contracts
from shared_utils.comfy.loader import CLIP, LORA, UNET, VAE, find_model
from shared_utils.comfy.miniature import DOWNLOAD, NOISE, TOY, kind_of, write_miniatures, write_trained
from shared_utils.comfy.runtime import open_folders, start
from shared_utils.errors import InvalidRequestError, ModelNotFoundError
from shared_utils.settings import Settings

WORKFLOW = ((UNET, contracts.UNET), (CLIP, contracts.CLIP), (VAE, contracts.VAE), (LORA, contracts.LORA))
"""The four files of the workflow, under the names they have by default."""


def list_models(settings: Settings, given: argparse.Namespace) -> int:
    """The four files of the workflow, then whatever else lies in the folders. 1 if one of the four is missing."""
    folder_paths = open_folders(settings)
    missing = []
    for kind, name in WORKFLOW:
        try:
            file = find_model(settings, kind, name)
        except ModelNotFoundError:
            missing.append(kind.title)
            _print_row(
                "missing", kind.title, name, f"looked in {', '.join(folder_paths.get_folder_paths(kind.folder))}"
            )
        else:
            _print_row("found", kind.title, name, _describe(file))
        for other in folder_paths.get_filename_list(kind.folder):
            if other != name:
                _print_row("found", kind.title, other, _describe(find_model(settings, kind, other)))
    if missing:
        print(f"\nMissing: {', '.join(missing)}. To download the four files: vtryon models download")  # noqa: T201
        print("If you have them already, set MODEL_DIR to the folder that has them.")  # noqa: T201
        print("To try vtryon without them: vtryon models miniature --output models")  # noqa: T201
    return 1 if missing else 0


def _print_row(state: str, title: str, name: str, remark: str) -> None:
    print(f"{state:<8} {title:<16} {name:<45} {remark}")  # noqa: T201


def _describe(file: Path) -> str:
    size, miniature = file.stat().st_size, kind_of(file)
    return f"{_readable(size)}  {file}{f'  ({miniature})' if miniature else ''}"


def _readable(size: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"


def write_miniature_models(settings: Settings, given: argparse.Namespace) -> int:
    """Write the set and say where."""
    if given.seed is not None and not given.random:
        raise InvalidRequestError("--seed is that of random weights: add --random, or leave it out.")
    comfy = start(settings)
    written = (
        write_miniatures(comfy, given.output, given.seed or 0) if given.random else write_trained(comfy, given.output)
    )
    for file in written:
        print(f"wrote {file}  {_readable(file.stat().st_size)}")  # noqa: T201
    print(NOISE if given.random else TOY, DOWNLOAD, sep="\n")  # noqa: T201
    return 0
