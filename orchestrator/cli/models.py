"""`vtryon models`: what is in the model folders, the real models, and miniatures for machines without them."""

import argparse
from pathlib import Path
from types import ModuleType
from typing import Any

from orchestrator.cli import model_downloads
from shared_utils.errors import ComfyUIInitializationError
from shared_utils.settings import Settings


def add_commands(groups: Any) -> None:
    """Add the group to the parser of the whole command."""
    group = groups.add_parser(
        "models", help="list the models, download the real ones, or write miniature ones", description=__doc__
    )
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="show which models are found and which are missing")
    listing.set_defaults(run=list_models)

    model_downloads.add_command(commands)

    miniature = commands.add_parser(
        "miniature",
        help="write miniature models that dress the example pictures",
        description="Write the workflow's four files in a size that a laptop can run, under their default names. They "
        "are a toy that knows only its own drawings: give it those in examples/. The real models are a download away: "
        "vtryon models download",
    )
    miniature.add_argument("--output", type=Path, required=True, metavar="DIR", help="model folder to write to")
    miniature.add_argument(
        "--random", action="store_true", help="with random weights: fast, for tests, and they paint coloured noise"
    )
    miniature.add_argument("--seed", type=int, help="of the random weights (default: 0)")
    miniature.set_defaults(run=write_miniature_models)


def list_models(settings: Settings, given: argparse.Namespace) -> int:
    return int(_files().list_models(settings, given))


def write_miniature_models(settings: Settings, given: argparse.Namespace) -> int:
    return int(_files().write_miniature_models(settings, given))


def _files() -> ModuleType:
    """Needs what the services need. The other commands don't, and run where only the orchestrator is installed."""
    try:
        from orchestrator.cli import model_files  # noqa: PLC0415
    except ImportError as missing:
        raise ComfyUIInitializationError(
            f"{missing.name} is not installed: for models, pip install 'vtryon[stages]'."
        ) from None
    return model_files
