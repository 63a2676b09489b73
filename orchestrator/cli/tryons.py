"""`vtryon status`, `vtryon cancel` and `vtryon list`: try-ons that were asked for, by their ids."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any, get_args

from orchestrator.asking import cancelled
from orchestrator.cli import server
from orchestrator.cli.finding import Found, Listed, find, listed
from orchestrator.cli.status import clock, described_found, described_view
from orchestrator.cli.tables import table
from orchestrator.client import Client
from orchestrator.config import Config
from orchestrator.gateway.models import State
from shared_utils.settings import Settings
from shared_utils.transports.kafka.codecs import make_codec
from shared_utils.transports.kafka.sending import send
from shared_utils.transports.kafka.topics import TRYON_CANCELS, counted

LISTED = 20
PAGE = 200
"""As many as a gateway gives at once."""


def add_commands(groups: Any) -> None:
    """Add the commands to the parser of the whole."""
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

    listing = groups.add_parser(
        "list",
        help="list try-ons, the newest first",
        description="List the try-ons of the last week, the newest first: their states, since when, and their ids.",
    )
    listing.add_argument("--state", choices=get_args(State), help="only those in this state")
    listing.add_argument(
        "--limit", type=_count, default=LISTED, metavar="COUNT", help="at most so many (default: %(default)s)"
    )
    listing.set_defaults(run=list_tryons)

    for command in (status, cancel, listing):
        server.add_flag(command)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def show_status(settings: Settings, given: argparse.Namespace) -> int:
    """1 if it is unknown."""
    client = server.client(given)
    if client is not None:
        with client:
            view = client.get(given.id)
        print(view.model_dump_json(indent=2) if given.json else described_view(view))  # noqa: T201
        return 0
    config = Config.read()
    found = find(config, make_codec(config), given.id)
    if found is None:
        return _unknown(given.id)
    print(_as_json(found) if given.json else described_found(given.id, found))  # noqa: T201
    return 0


def cancel_tryon(settings: Settings, given: argparse.Namespace) -> int:
    """1 if there is nothing to stop."""
    client = server.client(given)
    if client is not None:
        with client:
            view = client.cancel(given.id)
        return _has_ended(given.id, view.state) if view.ended else _told(given)
    config = Config.read()
    codec = make_codec(config)
    counted(config, TRYON_CANCELS)
    found = find(config, codec, given.id)
    if found is None:
        return _unknown(given.id)
    if found.ended:
        return _has_ended(given.id, found.state)
    send(config, cancelled(codec, given.id, found.partition))
    return _told(given)


def list_tryons(settings: Settings, given: argparse.Namespace) -> int:
    """Nothing is found wrong with a list that is empty."""
    client = server.client(given)
    if client is not None:
        with client:
            found = list(_pages(client, given.state, given.limit))
    else:
        config = Config.read()
        known = listed(config, make_codec(config))
        found = [each for each in known if given.state in (None, each.state)][: given.limit]
    rows = [[each.state, clock(each.since), each.name] for each in found]
    print(table(["state", "since", "try-on"], rows) if rows else "There are none.")  # noqa: T201
    return 0


def _pages(client: Client, state: str | None, most: int) -> Iterator[Listed]:
    """Page by page, as many as are wanted."""
    cursor: str | None = None
    while True:
        page = client.page(state, min(most, PAGE), cursor)
        yield from (Listed(view.id, view.state, view.updated) for view in page.try_ons[:most])
        most, cursor = most - len(page.try_ons), page.next
        if cursor is None or most <= 0:
            return


def _told(given: argparse.Namespace) -> int:
    look = f"vtryon status {given.id}{server.more(given)}"
    print(f"Its orchestrator was told to stop it. Look at it: {look}")  # noqa: T201
    return 0


def _has_ended(name: str, state: str) -> int:
    print(f"The try-on {name} has ended already: {state}.", file=sys.stderr)  # noqa: T201
    return 1


def _unknown(name: str) -> int:
    print(  # noqa: T201
        f"unknown  {name}\nKafka has no try-on of that id. It knows those of the last week.",
        file=sys.stderr,
    )
    return 1


def _as_json(found: Found) -> str:
    whole = found.tryon or found.refusal
    return '{"state": "waiting"}' if whole is None else whole.model_dump_json(indent=2)
