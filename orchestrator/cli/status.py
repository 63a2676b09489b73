"""How far a try-on is, as text: the same whoever said it."""

from datetime import datetime
from pathlib import Path

from orchestrator.cli.finding import Found
from orchestrator.cli.followed import followed
from orchestrator.cli.tables import seconds, table
from orchestrator.course import Position
from orchestrator.gateway.models import TryOnView
from shared_utils.contracts import now

SENT = "running"
"""What a step does that was sent to a worker, as long as nobody says more."""


def described_view(view: TryOnView) -> str:
    """A gateway's word."""
    state = view.state if view.position is None else f"{view.state}, number {view.position} in the queue"
    return "\n".join([*_head(view.id, state), *_lines(view)])


def described_found(name: str, found: Found) -> str:
    """Kafka's."""
    lines = _head(name, found.state)
    if found.refusal is not None:
        lines.append(f"problem  {found.refusal.error_code}: {found.refusal.error_message}")
    elif found.tryon is None:
        lines.append("No orchestrator has taken it yet; `vtryon doctor` says who is there.")
    else:
        lines += _lines(TryOnView.of(found.tryon))
    return "\n".join(lines)


def clock(moment: datetime) -> str:
    """As the clock on the wall says."""
    local = moment.astimezone()
    return f"{local:%H:%M:%S}" if local.date() == now().astimezone().date() else f"{local:%Y-%m-%d %H:%M:%S}"


def _head(name: str, state: str) -> list[str]:
    return [f"try-on   {name}", f"state    {state}"]


def _lines(view: TryOnView) -> list[str]:
    taken = seconds(((view.updated if view.ended else now()) - view.submitted).total_seconds())
    lines = [f"asked    {clock(view.submitted)}, {taken} {'in all' if view.ended else 'ago'}"]
    if view.problem is not None:
        step = f" in {view.problem.step}" if view.problem.step else ""
        lines.append(f"problem  {view.problem.code}{step}: {view.problem.message}")
    if view.image_path is not None:
        lines.append(f"picture  {view.image_path}")
    tryon = followed(view.id, view.request_id, Path())
    tryon.hear(view)
    rows = [_row(name, position) for name, position in tryon.course.steps.items()]
    return [*lines, "", table(["step", "state", " attempts", "begun", " time"], rows)]


def _row(name: str, position: Position) -> list[str]:
    if position.since is None:
        return [name, position.text, "", "", ""]
    shown = SENT if position.phase == "sent" else position.text
    return [name, shown, str(position.attempt), clock(position.since), seconds(position.seconds or 0.0)]
