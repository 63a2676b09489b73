"""`vtryon status` and `vtryon cancel`: one try-on, by its id."""

import argparse
import sys
from datetime import datetime
from typing import Any

from orchestrator.cli.finding import Found, find
from orchestrator.cli.tables import seconds, table
from orchestrator.config import Config
from orchestrator.state import TryOn
from orchestrator.steps import LAST, STEPS
from shared_utils.contracts import Cancel, now
from shared_utils.settings import Settings
from shared_utils.transports.kafka.codecs import make_codec
from shared_utils.transports.kafka.messages import CORRELATION_ID
from shared_utils.transports.kafka.sending import Outgoing, send
from shared_utils.transports.kafka.topics import TRYON_CANCELS, counted


def add_commands(groups: Any) -> None:
    """Add both commands to the parser of the whole."""
    status = groups.add_parser(
        "status",
        help="say how far a try-on is",
        description="Say how far a try-on is: running, succeeded, failed or cancelled; waiting if no orchestrator has "
        "taken it yet; refused if its request could not be used. Exit code 1 if there is none of that id.",
    )
    status.add_argument("id", metavar="ID", help="what `vtryon submit` printed")
    status.add_argument("--json", action="store_true", help="write all that is known as JSON")
    status.set_defaults(run=show_status)

    cancel = groups.add_parser(
        "cancel",
        help="stop a try-on",
        description="Stop a try-on, or have it not begun. A worker stops between two steps of the sampler, at the "
        "latest when its node is done. Exit code 1 if there is none of that id, or if it has ended.",
    )
    cancel.add_argument("id", metavar="ID", help="what `vtryon submit` printed")
    cancel.set_defaults(run=cancel_tryon)


def show_status(settings: Settings, given: argparse.Namespace) -> int:
    """1 if it is unknown."""
    config = Config.read()
    found = find(config, make_codec(config), given.id)
    if found is None:
        return _unknown(given.id)
    print(_as_json(found) if given.json else "\n".join(_lines(given.id, found)))  # noqa: T201
    return 0


def cancel_tryon(settings: Settings, given: argparse.Namespace) -> int:
    """The orchestrator that has the try-on reads cancellations from the partition of the same number."""
    config = Config.read()
    codec = make_codec(config)
    counted(config, TRYON_CANCELS)
    found = find(config, codec, given.id)
    if found is None:
        return _unknown(given.id)
    if found.ended:
        print(f"The try-on {given.id} has ended already: {found.state}.", file=sys.stderr)  # noqa: T201
        return 1
    value = codec.encode(TRYON_CANCELS, Cancel(correlation_id=given.id))
    send(config, Outgoing(TRYON_CANCELS, given.id, value, {CORRELATION_ID: given.id}, found.partition))
    print(f"Its orchestrator was told to stop it. Look at it: vtryon status {given.id}")  # noqa: T201
    return 0


def _unknown(name: str) -> int:
    print(  # noqa: T201
        f"unknown  {name}\nKafka has no try-on of that id. It knows those of the last week.",
        file=sys.stderr,
    )
    return 1


def _as_json(found: Found) -> str:
    whole = found.tryon or found.refusal
    return '{"state": "waiting"}' if whole is None else whole.model_dump_json(indent=2)


def _lines(name: str, found: Found) -> list[str]:
    lines = [f"try-on   {name}", f"state    {found.state}"]
    if found.refusal is not None:
        lines.append(f"problem  {found.refusal.error_code}: {found.refusal.error_message}")
    elif found.tryon is None:
        lines.append("No orchestrator has taken it yet; `vtryon doctor` says who is there.")
    else:
        lines += _lines_of(found.tryon)
    return lines


def _lines_of(tryon: TryOn) -> list[str]:
    ended = tryon.updated if tryon.ended else now()
    lines = [f"asked    {_clock(tryon.submitted)}, {seconds((ended - tryon.submitted).total_seconds())} in all"]
    if not tryon.ended:
        lines[-1] = f"asked    {_clock(tryon.submitted)}, {seconds((ended - tryon.submitted).total_seconds())} ago"
    if tryon.problem is not None:
        step = f" in {tryon.problem.step}" if tryon.problem.step else ""
        lines.append(f"problem  {tryon.problem.code}{step}: {tryon.problem.message}")
    if tryon.state == "succeeded":
        lines.append(f"picture  {tryon.results[LAST].get('image_path')}")
    return [*lines, "", table(["step", "state", " attempts", "begun", " time"], [_row(tryon, name) for name in STEPS])]


def _row(tryon: TryOn, name: str) -> list[str]:
    step = tryon.steps.get(name)
    if step is None:
        return [name, "not begun" if tryon.ended else "waiting", "", "", ""]
    until = step.finished or (tryon.updated if tryon.ended else now())
    state = step.state
    shown = state if state == "done" else "running" if not tryon.ended else _how_it_ended(tryon, name)
    return [name, shown, str(step.attempt), _clock(step.started), seconds((until - step.started).total_seconds())]


def _how_it_ended(tryon: TryOn, name: str) -> str:
    return "failed" if tryon.problem is not None and tryon.problem.step == name else "stopped"


def _clock(moment: datetime) -> str:
    """As the clock on the wall says."""
    local = moment.astimezone()
    return f"{local:%H:%M:%S}" if local.date() == now().astimezone().date() else f"{local:%Y-%m-%d %H:%M:%S}"
