"""What `vtryon triton build` is told: how the stages share the machine, and what becomes of requests that wait."""

import argparse
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from shared_utils.errors import InvalidRequestError
from shared_utils.transports.triton.config import Queue
from shared_utils.transports.triton.pipeline import PLACES
from shared_utils.transports.triton.repository import BuildOptions, Share

T = TypeVar("T")
OF_A_STAGE = ("instances", "gpus", "memory_gb")
"""Those that may name a stage."""


def add_flags(building: argparse.ArgumentParser) -> None:
    """All that the repository is made with."""
    building.add_argument(
        "--layout",
        choices=("together", "apart"),
        default="together",
        help="together: all stages in one process, which loads each model once, for one GPU. apart: each stage in "
        "processes of its own, for several (default: %(default)s)",
    )
    building.add_argument(
        "--gpus",
        type=_of_stage(_gpus),
        action="append",
        default=[],
        metavar="[STAGE=]N,...",
        help="GPUs to run on, with instances on each (default: as COMFYUI_DEVICE says)",
    )
    building.add_argument(
        "--instances",
        type=_of_stage(_positive),
        action="append",
        default=[],
        metavar="[STAGE=]N",
        help="processes, each of which loads its models (default: 1)",
    )
    building.add_argument(
        "--memory-gb",
        type=_of_stage(_amount),
        action="append",
        default=[],
        metavar="[STAGE=]N",
        help="for the models of each process (default: as MODEL_MEMORY_GB says)",
    )
    building.add_argument(
        "--max-queue", type=_positive, metavar="N", help="requests that may wait for a model; more are refused"
    )
    building.add_argument(
        "--queue-timeout", type=_amount, metavar="SECONDS", help="how long one may wait before it is refused"
    )
    building.add_argument(
        "--one-at-a-time",
        action="store_true",
        help="only one instance works on a GPU at a time; tritonserver needs --rate-limit=execution_count for it",
    )
    building.add_argument(
        "--no-warm-up", action="store_true", help="load models with the first request, not before being ready"
    )


def build_options(given: argparse.Namespace) -> BuildOptions:
    """What the flags say."""
    by_flag = {name: dict(getattr(given, name)) for name in OF_A_STAGE}
    stages = [stage for stage in PLACES if any(stage in values for values in by_flag.values())]
    if stages and given.layout == "together":
        raise InvalidRequestError(f"{stages[0]} can't have a share of its own where all are together: --layout apart.")
    return BuildOptions(
        layout=given.layout,
        share=_share(by_flag, None),
        shares={stage: _share(by_flag, stage) for stage in stages},
        queue=Queue(given.max_queue, given.queue_timeout),
        one_at_a_time=given.one_at_a_time,
        warm_up=not given.no_warm_up,
    )


def _share(by_flag: Mapping[str, Mapping[str | None, Any]], stage: str | None) -> Share:
    """What was given for the stage, else what was given for all."""
    given = {name: values.get(stage, values.get(None)) for name, values in by_flag.items()}
    return Share(**{name: value for name, value in given.items() if value is not None})


def _of_stage(kind: Callable[[str], T]) -> Callable[[str], tuple[str | None, T]]:
    """The parser of a value with or without the name of a stage before it."""

    def parsed(text: str) -> tuple[str | None, T]:
        stage, equals, value = text.rpartition("=")
        if equals and stage not in PLACES:
            raise argparse.ArgumentTypeError(f"no stage {stage!r}: there are {', '.join(PLACES)}")
        return stage or None, kind(value)

    return parsed


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = 0
    if not (math.isfinite(amount) and amount > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return amount


def _gpus(text: str) -> tuple[int, ...]:
    names = [name.strip() for name in text.split(",")]
    if not all(name.isascii() and name.isdigit() for name in names):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of GPUs: give their numbers, such as 0,1")
    return tuple(dict.fromkeys(map(int, names)))
