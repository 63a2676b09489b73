"""`vtryon submit`: ask for a try-on, and watch it if you like."""

import argparse
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from orchestrator.cli.drawing import timings, watch
from orchestrator.cli.finding import find
from orchestrator.cli.watching import Course, Listener
from orchestrator.config import Config
from orchestrator.models import TryOnFailure, TryOnRequest, TryOnSuccess
from shared_utils.contracts import Request
from shared_utils.errors import ImageNotFoundError, InvalidRequestError
from shared_utils.settings import Settings
from shared_utils.stage import parse
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.codecs import make_codec
from shared_utils.transports.kafka.messages import CORRELATION_ID, Codec
from shared_utils.transports.kafka.sending import Outgoing, send
from shared_utils.transports.kafka.settings import KafkaSettings

PICTURES = {"person_image_path": "person", "garment_image_path": "garment", "mask_image_path": "mask"}
STOPPED = 130
"""What shells report of a command that was stopped by Ctrl-C."""


def add_commands(groups: Any) -> None:
    """Add the command to the parser of the whole."""
    command = groups.add_parser(
        "submit",
        help="ask for a try-on",
        description="Ask for a try-on. Its id goes to stdout, all else to stderr. The pictures must lie on storage "
        "that the workers see under the same path.",
        epilog="What is left out the orchestrator fills in, from its environment or with the defaults named here. "
        "Exit code 0, or 1 if it could not be sent or, with --watch, did not succeed, or 2 for wrong usage.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=34, width=110),
        usage="%(prog)s --person PATH --garment PATH [options]",
        allow_abbrev=False,
    )
    command.add_argument("--watch", action="store_true", help="stay and show how it goes; Ctrl-C leaves it running")
    command.add_argument("--json", action="store_true", help="write the ids, or with --watch the answer, as JSON")
    fields = TryOnRequest.model_fields
    for name in sorted(fields, key=lambda name: (name in Request.model_fields, name not in PICTURES)):
        command.add_argument(
            _flag(name),
            dest=name,
            required=fields[name].is_required(),
            metavar=name.rsplit("_", 1)[-1].upper(),
            help=_help(fields[name]),
        )
    command.set_defaults(run=submit)


def _flag(name: str) -> str:
    return f"--{PICTURES.get(name, name).replace('_', '-')}"


def _help(field: FieldInfo) -> str:
    text = (field.description or "").replace("%", "%%")
    if field.is_required():
        return f"{text} Required."
    default = field.get_default()
    return text if default in (None, PydanticUndefined, "") else f"{text} (default: {default})".replace("%", "%%")


def submit(settings: Settings, given: argparse.Namespace) -> int:
    """Send it, and say what it is called; or stay until it has ended."""
    config = Config.read()
    request = complete({name: getattr(given, name) for name in TryOnRequest.model_fields}, config)
    topics.check(config)
    codec = make_codec(config)
    if given.correlation_id is not None:
        _refuse_if_known(config, codec, given.correlation_id)
    if given.watch:
        return _send_and_watch(config, codec, request, as_json=given.json)
    send_request(config, codec, request)
    _say_ids(request, as_json=given.json)
    return 0


def complete(fields: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The request to send: checked, named, its paths absolute, and nothing in it that was not given."""
    given = {name: value for name, value in fields.items() if value is not None}
    for name in (*PICTURES, "output_dir"):
        if name in given:
            given[name] = str(Path(given[name]).absolute())
    given = {"correlation_id": uuid.uuid4().hex} | given
    request = parse(TryOnRequest, settings, given)
    for name in PICTURES:
        path = getattr(request, name)
        if path is not None and not Path(path).is_file():
            raise ImageNotFoundError(
                f"No picture {path} on this machine ({_flag(name)}). It must lie on storage that the workers share."
            )
    # As they were parsed: numbers are numbers.
    return request.model_dump(mode="json", include={*given, "request_id", "timestamp"})


def _refuse_if_known(settings: Config, codec: Codec, correlation_id: str) -> None:
    """A second one of that name would be taken for the first, sent again, and nobody would answer it."""
    found = find(settings, codec, correlation_id)
    if found is not None:
        raise InvalidRequestError(
            f"There is a try-on {correlation_id} already: it is {found.state}. Give another --correlation-id, or none."
        )


def send_request(settings: KafkaSettings, codec: Codec, request: dict[str, Any]) -> None:
    """Come back when Kafka has it."""
    name = str(request[CORRELATION_ID])
    value = codec.encode(topics.TRYON_REQUESTS, request)
    send(settings, Outgoing(topics.TRYON_REQUESTS, name, value, {CORRELATION_ID: name}))


def _send_and_watch(settings: KafkaSettings, codec: Codec, request: dict[str, Any], *, as_json: bool) -> int:
    name = str(request[CORRELATION_ID])
    sent = False
    try:
        with Listener(settings, codec, name) as listener:
            send_request(settings, codec, request)
            sent = True
            _remark(f"try-on {name}")
            answer = watch(listener, Course(name))
    except KeyboardInterrupt:
        if sent:
            _remark(f"\nThe try-on goes on.\nLook at it:  vtryon status {name}\nStop it:     vtryon cancel {name}")
        return STOPPED
    if as_json:
        print(answer.model_dump_json(indent=2))  # noqa: T201
    else:
        tell(answer)
    return 0 if isinstance(answer, TryOnSuccess) else 1


def _say_ids(request: dict[str, Any], *, as_json: bool) -> None:
    name = request[CORRELATION_ID]
    if as_json:
        print(f'{{"correlation_id": "{name}", "request_id": "{request["request_id"]}"}}')  # noqa: T201
        return
    print(name)  # noqa: T201
    _remark(f"Look at it: vtryon status {name}")


def tell(answer: TryOnSuccess | TryOnFailure) -> None:
    """How it ended, for a person."""
    if answer.timings:
        print(f"\n{timings(answer.timings)}")  # noqa: T201
    if isinstance(answer, TryOnSuccess):
        print(f"\nThe picture: {answer.image_path}\nThe seed: {answer.seed}")  # noqa: T201
        return
    where = f" in {answer.failed_step}" if answer.failed_step else ""
    _remark(f"\nThe try-on did not succeed{where}: {answer.error_code}: {answer.error_message}")
    if answer.error_code != "CANCELLED":
        _remark("Its request was put aside: vtryon dlq list tryon")


def _remark(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201
