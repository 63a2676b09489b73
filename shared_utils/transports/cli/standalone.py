"""`--mode standalone`: one request from the flags, its answer as JSON on stdout, everything else on stderr.

Exit code 0 for an answer with success, 1 for one with an error, 2 for wrong usage.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from shared_utils.contracts import Request, Success
from shared_utils.stage import Stage, answer
from shared_utils.transports.cli.bar import watcher_for

DONE, FAILED = 0, 1


def run_standalone(stage: Stage, arguments: Sequence[str] | None = None) -> int:
    """Answer the one request that the flags make."""
    given = sys.argv[1:] if arguments is None else arguments
    fields = vars(_parser(stage).parse_args([_with_underscores(argument) for argument in given]))
    del fields["mode"]
    with _stdout_for_the_answer() as stdout, watcher_for(stage.options) as watcher:
        response = answer(stage, fields, watcher)
        print(response.model_dump_json(indent=2), file=stdout)
    return DONE if isinstance(response, Success) else FAILED


def _with_underscores(argument: str) -> str:
    """Flags are named after fields; --image-path is the same as --image_path."""
    name, equals, value = argument.partition("=")
    return f"--{name[2:].replace('-', '_')}{equals}{value}" if name.startswith("--") else argument


def _parser(stage: Stage) -> argparse.ArgumentParser:
    """A flag for every field of the request. Values are checked by the request itself, so that every transport
    answers a wrong one in the same words."""
    fields = stage.request_type.model_fields
    changeable = [name.upper() for name, _ in stage.options if name in fields]
    parser = argparse.ArgumentParser(
        prog=f"python {stage.name}/main.py",
        description=sys.modules[stage.name].__doc__,
        epilog="The answer is JSON on stdout; progress and logs go to stderr. Exit code 0, or 1 with an error_code in "
        f"the answer, or 2 for wrong usage. The environment and .env can change the defaults: {', '.join(changeable)}.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=110),
        usage="%(prog)s --mode standalone [--FIELD VALUE ...]",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--mode",
        choices=["standalone", "kafka", "rest", "grpc", "files"],
        help="standalone: this one request (default); the others serve requests: see --mode kafka --help and so on",
    )
    # What this stage is about comes first, what every request carries last.
    for name in sorted(fields, key=lambda name: (name in Request.model_fields, not fields[name].is_required())):
        parser.add_argument(
            f"--{name}",
            required=fields[name].is_required(),
            metavar=_metavar(name, fields[name]),
            help=_help(fields[name], getattr(stage.options, name, fields[name].get_default())),
        )
    return parser


def _metavar(name: str, field: FieldInfo) -> str:
    return "true|false" if field.annotation is bool else name.rsplit("_", 1)[-1].upper()


def _help(field: FieldInfo, default: Any) -> str:
    """The field's description, and what it is if the flag is left out."""
    text = (field.description or "").replace("%", "%%")
    if field.is_required():
        return f"{text} Required."
    if default in (None, PydanticUndefined):
        return text
    shown = str(default).lower() if isinstance(default, bool) else str(default).replace("%", "%%")
    return f"{text} (default: {shown or 'empty'})"


@contextmanager
def _stdout_for_the_answer() -> Iterator[TextIO]:
    """Whatever a library prints, in C or in Python, goes to stderr: stdout carries the answer and nothing else."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(saved), "w", encoding="utf-8") as stdout:
            yield stdout
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)
