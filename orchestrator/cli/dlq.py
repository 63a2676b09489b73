"""`vtryon dlq`: the dead letters, requests that could not be done; look at them, and send them again."""

import argparse
import json
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.cli.finding import all_states
from orchestrator.cli.tables import shortened, table
from orchestrator.config import Config
from shared_utils.contracts import now
from shared_utils.errors import InvalidRequestError
from shared_utils.settings import Settings
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.codecs import make_codec
from shared_utils.transports.kafka.dead_letters import (
    ERROR_CODE,
    ERROR_MESSAGE,
    FAILED_AT,
    HISTORY,
    ORIGINAL_TOPIC,
    DeadLetter,
    dead_letters,
    one_dead_letter,
    replay,
)
from shared_utils.transports.kafka.messages import (
    CORRELATION_ID,
    Codec,
    InvalidMessageError,
    decoded,
)

TRYON = "tryon"
REQUESTS = {TRYON: topics.TRYON_REQUESTS} | {stage: topics.request_topic(stage) for stage in topics.STAGES}
NAME = re.compile(r"^(?P<topic>[A-Za-z0-9._-]+)/(?P<partition>\d{1,9})/(?P<offset>\d{1,18})$")
LONGEST_VALUE = 20_000
"""Characters of a value that are shown."""


def add_commands(groups: Any) -> None:
    """Add the group to the parser of the whole command."""
    group = groups.add_parser("dlq", help="look at requests that failed, send them again", description=__doc__)
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    of = f"{TRYON}, {', '.join(topics.STAGES)}"

    listing = commands.add_parser("list", help="list them")
    listing.add_argument("stage", nargs="?", choices=REQUESTS, metavar="STAGE", help=f"{of} (default: all)")
    listing.set_defaults(run=list_letters)

    showing = commands.add_parser("show", help="show one whole")
    showing.add_argument("name", metavar="NAME", type=_name, help="as listed: topic/partition/offset")
    showing.set_defaults(run=show_letter)

    replaying = commands.add_parser(
        "replay",
        help="send one again, or all of a stage",
        description="Send requests again to the topic they came from. A try-on begins anew under a new id, which is "
        "printed. A stage's request goes as it was; if it belongs to a try-on that has ended, replay the try-on "
        "instead. Letters stay where they are: sent twice, they are done twice.",
    )
    what = replaying.add_mutually_exclusive_group(required=True)
    what.add_argument("name", metavar="NAME", nargs="?", type=_name, help="as listed: topic/partition/offset")
    what.add_argument("--all", choices=REQUESTS, metavar="STAGE", help=of)
    replaying.set_defaults(run=replay_letters)


def _name(text: str) -> re.Match[str]:
    found = NAME.match(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no dead letter's name: they are listed by `vtryon dlq list`")
    return found


# ---- list


def list_letters(settings: Settings, given: argparse.Namespace) -> int:
    """A row for each, oldest first."""
    letters = list(_letters(Config.read(), given.stage))
    if not letters:
        print("No dead letters.")  # noqa: T201
        return 0
    letters.sort(key=lambda letter: letter.headers.get(FAILED_AT, ""))
    print(table(["name", "when", "code", "try-on", "message"], map(_row, letters)))  # noqa: T201
    return 0


def _letters(config: Config, stage: str | None) -> Iterator[DeadLetter]:
    wanted = list(REQUESTS.values()) if stage is None else [REQUESTS[stage]]
    topics.counted(config, *map(topics.dead_letter_topic, wanted))
    for requests in wanted:
        yield from dead_letters(config, requests)


def _row(letter: DeadLetter) -> list[str]:
    headers = letter.headers
    return [
        letter.name,
        headers.get(FAILED_AT, "")[:19].replace("T", " "),
        headers.get(ERROR_CODE, ""),
        headers.get(CORRELATION_ID, ""),
        shortened(headers.get(ERROR_MESSAGE, ""), 60),
    ]


# ---- show


def show_letter(settings: Settings, given: argparse.Namespace) -> int:
    """Its headers, its story, and what was asked."""
    config = Config.read()
    letter = _found(config, given.name)
    width = max(map(len, letter.headers), default=0)
    for name, text in letter.headers.items():
        if name != HISTORY:
            print(f"{name:<{width}}  {shortened(text, 4096)}")  # noqa: T201
    if HISTORY in letter.headers:
        print(f"\n{HISTORY}\n{_bounded(_pretty(letter.headers[HISTORY]))}")  # noqa: T201
    print(f"\nrequest\n{_bounded(_shown(letter, make_codec(config)))}")  # noqa: T201
    return 0


def _found(config: Config, name: re.Match[str]) -> DeadLetter:
    letter = one_dead_letter(config, name["topic"], int(name["partition"]), int(name["offset"]))
    if letter is None or ORIGINAL_TOPIC not in letter.headers:
        raise InvalidRequestError(f"There is no dead letter {name[0]}. See `vtryon dlq list`.")
    return letter


def _shown(letter: DeadLetter, codec: Codec) -> str:
    try:
        return json.dumps(decoded(codec, letter.record), indent=2, ensure_ascii=False)
    except InvalidMessageError as wrong:
        return f"{wrong.message} It holds: {bytes(letter.record.value() or b'')[:LONGEST_VALUE]!r}"


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}\n... {len(text)} characters in all"


# ---- replay


def replay_letters(settings: Settings, given: argparse.Namespace) -> int:
    """Send one, or all of a stage."""
    config = Config.read()
    codec = make_codec(config)
    letters = list(_letters(config, given.all)) if given.all else [_found(config, given.name)]
    if not letters:
        print("No dead letters.")  # noqa: T201
    states = all_states(config) if letters else {}
    failed = 0
    for letter in letters:
        try:
            if letter.headers.get(ORIGINAL_TOPIC) == topics.TRYON_REQUESTS:
                print(_replay_tryon(config, codec, letter))  # noqa: T201
            else:
                print(_replay_request(config, letter, states))  # noqa: T201
        except InvalidRequestError as wrong:  # this one is not to keep the others back
            print(wrong.message, file=sys.stderr)  # noqa: T201
            failed += 1
    return 1 if failed else 0


def _replay_tryon(config: Config, codec: Codec, letter: DeadLetter) -> str:
    """Under a new id: the old one has ended, and would be taken for known."""
    try:
        fields = decoded(codec, letter.record)
    except InvalidMessageError as wrong:
        raise InvalidRequestError(f"{letter.name} can't be sent again: {wrong.message}") from None
    old, name = str(fields.get(CORRELATION_ID)), uuid.uuid4().hex
    fields |= {CORRELATION_ID: name, "request_id": uuid.uuid4().hex, "timestamp": now()}
    if str(fields.get("output_filename")).startswith(f"tryon_{old}."):  # what an orchestrator called it by its id
        fields["output_filename"] = None
    renamed = replace(letter, headers={**letter.headers, CORRELATION_ID: name})
    replay(config, renamed, name, codec.encode(topics.TRYON_REQUESTS, fields))
    return f"sent {letter.name} as the try-on {name}"


def _replay_request(config: Config, letter: DeadLetter, states: Mapping[str, str]) -> str:
    """As it was, with a word on whether anybody waits for it."""
    if ORIGINAL_TOPIC not in letter.headers:
        raise InvalidRequestError(f"{letter.name} can't be sent again: it does not say which topic it came from.")
    key = letter.record.key()
    replay(config, letter, None if key is None else bytes(key).decode("utf-8", "replace"), letter.record.value())
    said = f"sent {letter.name}"
    name = letter.headers.get(CORRELATION_ID, "")
    if states.get(name, "running") != "running":
        said += f"\n  Nobody waits for it: its try-on {name} has ended ({states[name]}). "
        said += f"Replay that: vtryon dlq list {TRYON}"
    return said
