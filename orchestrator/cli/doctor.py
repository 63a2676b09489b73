"""`vtryon doctor`: one line for each thing that has to be right, and what to do about it if it is not."""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.cli.checks import kafka, machine
from orchestrator.cli.checks.finding import Finding
from orchestrator.config import Config
from shared_utils.errors import first_line
from shared_utils.settings import Settings

Check = Callable[[Config], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    kafka.security,
    kafka.cluster,
    machine.folders,
    machine.models,
    machine.comfyui,
)


def add_commands(groups: Any) -> None:
    """Add the command to the parser of the whole."""
    command = groups.add_parser(
        "doctor",
        help="say what is wrong with this installation",
        description="Look at all that must be right: Kafka and its topics, who is connected, the folders, the models, "
        "ComfyUI and the GPU, with the settings of this machine. Changes nothing. Exit code 1 if something is wrong; "
        "a warning is not.",
    )
    command.set_defaults(run=examine)


def examine(settings: Settings, given: argparse.Namespace) -> int:
    """Each line as soon as it is known."""
    config = Config.read()
    counts: Counter[str] = Counter()
    for check in CHECKS:
        for finding in _findings(check, config):
            print(f"{finding.state:<5} {finding.title:<16} {finding.text}", flush=True)  # noqa: T201
            counts[finding.state] += 1
    print(f"\nwrong: {counts['FAIL']}, warnings: {counts['warn']}")  # noqa: T201
    return 1 if counts["FAIL"] else 0


def _findings(check: Check, config: Config) -> Iterator[Finding]:
    try:
        yield from check(config)
    except Exception as unforeseen:  # one check that breaks must not hide the others
        name = check.__name__
        yield Finding("FAIL", name, f"could not be looked at: {type(unforeseen).__name__}: {first_line(unforeseen)}")
