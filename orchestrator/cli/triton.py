"""`vtryon triton`: the model repository that Triton Inference Server serves the stages from."""

import argparse
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from orchestrator.cli import triton_onnx
from orchestrator.cli.triton_flags import add_flags, build_options
from orchestrator.cli.triton_folder import write_repository
from shared_utils.contracts import VAE
from shared_utils.errors import ComfyUIInitializationError
from shared_utils.settings import Settings
from shared_utils.transports.triton.onnx import onnx_models
from shared_utils.transports.triton.pipeline import PLACES
from shared_utils.transports.triton.repository import FOLDER, build
from shared_utils.transports.triton.tensors import StageContract


def add_commands(groups: Any) -> None:
    """Add the group to the parser of the whole command."""
    group = groups.add_parser("triton", help="make a model repository for Triton", description=__doc__)
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_build(commands)
    _add_export(commands)


def _add_build(commands: Any) -> None:
    building = commands.add_parser(
        "build",
        help="write the model repository",
        description="Write the model repository: a model for each stage, one for the whole try-on, and one that tells "
        "how far it is. What an earlier build wrote there is replaced; other models stay.",
        epilog="Flags with [STAGE=] can be given more than once: for all stages, and with --layout apart for single "
        f"ones ({', '.join(PLACES)}).",
        allow_abbrev=False,
    )
    building.add_argument(
        "--output", type=Path, default=Path(FOLDER), metavar="DIR", help="folder of it (default: %(default)s)"
    )
    add_flags(building)
    building.add_argument("--onnx", type=Path, metavar="DIR", help="add the VAE as export-onnx wrote it to this folder")
    building.set_defaults(run=build_repository)


def _add_export(commands: Any) -> None:
    exporting = commands.add_parser(
        "export-onnx",
        help="write the VAE as ONNX",
        description="Write the VAE's encoder and decoder as ONNX models for pictures of any size, and hold them "
        "against the original.",
    )
    exporting.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write to")
    exporting.add_argument(
        "--vae-model-name", default=VAE, metavar="NAME", help="file in the model folder vae (default: %(default)s)"
    )
    exporting.set_defaults(run=triton_onnx.run)


def build_repository(settings: Settings, given: argparse.Namespace) -> int:
    """Write it, and say how it is served."""
    texts, copies = ({}, {}) if given.onnx is None else onnx_models(given.onnx)
    models = write_repository(given.output, build(_contracts(), build_options(given)) | texts, copies)
    print(f"Wrote {', '.join(models)} to {given.output}.")  # noqa: T201
    limited = " --rate-limit=execution_count" if given.one_at_a_time else ""
    print(f"Serve it with: tritonserver --model-repository={given.output}{limited}")  # noqa: T201
    return 0


def _contracts() -> list[StageContract]:
    """Of the stages that are installed."""
    try:
        kinds = [each.load() for each in entry_points(group="vtryon.stages")]
    except ImportError as missing:
        raise _not_installed(missing.name) from None
    if not kinds:
        raise _not_installed("vtryon")
    return [StageContract(kind.name, kind.request_type, kind.response_type) for kind in kinds]


def _not_installed(name: str | None) -> ComfyUIInitializationError:
    return ComfyUIInitializationError(f"{name} is not installed: for the stages, pip install 'vtryon[stages]'.")
