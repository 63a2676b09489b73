"""`vtryon submit`: ask for try-ons, over Kafka, a gateway or Triton, and watch them if you like."""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from orchestrator.cli import over_http, over_triton, server
from orchestrator.cli.downloads import Downloads
from orchestrator.cli.drawing import watch
from orchestrator.cli.flags import GARMENT, add_flags, flag, given_fields
from orchestrator.cli.followed import Followed, followed
from orchestrator.cli.over_kafka import complete, hear, refuse_if_known, send_requests
from orchestrator.cli.results import remark, result_of, tell, tell_all
from orchestrator.client import Client
from orchestrator.config import Config
from orchestrator.listening import Listener
from shared_utils.errors import InvalidRequestError
from shared_utils.settings import Settings
from shared_utils.signals import STOPPED
from shared_utils.telemetry.traces import span, start_traces
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.codecs import make_codec
from shared_utils.transports.triton.client import TritonClient
from shared_utils.transports.triton.settings import TritonSettings

OF_ONE = ("correlation_id", "request_id", "output_filename")
"""What several try-ons can't share."""
OUTPUT = Path("output")
"""The folder that pictures of Triton's are put in."""
Left = Callable[[Sequence[str], argparse.Namespace], None]
"""Says what becomes of try-ons that have not ended."""


def add_commands(groups: Any) -> None:
    """Add the command to the parser of the whole."""
    command = groups.add_parser(
        "submit",
        help="ask for try-ons",
        description="Ask for a try-on, or with several garments for one of each. Their ids go to stdout, all else to "
        "stderr. Over Kafka the pictures must lie on storage that the workers see under the same path; to a gateway "
        "(--server) they are uploaded. Triton (--triton) is sent them, does one try-on after the other and sends the "
        "pictures back.",
        epilog="What is left out the orchestrator fills in, from its environment or with the defaults named here. "
        "Exit code 0, or 1 if they could not be sent or, with --watch, one did not succeed, or 2 for wrong usage.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=34, width=110),
        usage="%(prog)s --person PATH --garment PATH [PATH ...] [options]",
        allow_abbrev=False,
    )
    server.add_flag(command)
    command.add_argument(
        "--triton",
        metavar="URL",
        help="a Triton to ask instead, host:port of its gRPC; stays until all is done, and Ctrl-C stops it",
    )
    command.add_argument("--watch", action="store_true", help="stay and show how it goes; Ctrl-C leaves it running")
    command.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="with --server and --watch: download the pictures to this folder; with --triton: put them there "
        f"(default: {OUTPUT})",
    )
    command.add_argument(
        "--json", action="store_true", help="write the ids, or with --watch the answers, as JSON, a line for each"
    )
    add_flags(command)
    command.set_defaults(run=submit)


def submit(settings: Settings, given: argparse.Namespace) -> int:
    """Send them, and say what they are called; or stay until they have ended."""
    garments = [Path(path) for path in getattr(given, GARMENT)]
    shared = [flag(name) for name in OF_ONE if getattr(given, name) is not None]
    if shared and len(garments) > 1:
        raise InvalidRequestError(f"{shared[0]} is for one garment: give it with a single one.")
    if given.triton is not None:
        return _over_triton(given, garments)
    start_traces(settings, "cli")
    with span("vtryon submit", "producer"):
        return _over_kafka_or_http(given, garments)


def _over_kafka_or_http(given: argparse.Namespace, garments: Sequence[Path]) -> int:
    client = server.client(given)
    if given.output is not None and (client is None or not given.watch):
        raise InvalidRequestError(
            "--output downloads pictures from a gateway when they are done: it needs --server and --watch. Over Kafka "
            "pictures are written to the shared storage, to --output-dir."
        )
    if client is None:
        return _over_kafka(given, garments)
    with client:
        return _over_http(client, given, garments)


def _over_kafka(given: argparse.Namespace, garments: Sequence[Path]) -> int:
    config = Config.read()
    requests = [complete(given_fields(given) | {GARMENT: str(garment)}, config) for garment in garments]
    tryons = [
        followed(request["correlation_id"], request["request_id"], garment)
        for request, garment in zip(requests, garments, strict=True)
    ]
    topics.check(config)
    codec = make_codec(config)
    if given.correlation_id is not None:
        refuse_if_known(config, codec, given.correlation_id)
    if not given.watch:
        send_requests(config, codec, requests)
        _say_ids(tryons, given)
        return 0
    with Listener(config, codec, *(each.name for each in tryons)) as listener:
        send_requests(config, codec, requests)
        _announce(tryons)
        return _stay(tryons, hear(listener, tryons), given)


def _over_http(client: Client, given: argparse.Namespace, garments: Sequence[Path]) -> int:
    tryons: list[Followed] = []
    for some in over_http.ask(client, given_fields(given), garments):
        tryons += some
        if given.watch:
            _announce(some)
        else:
            _say_ids(some, given)
    if not given.watch:
        return 0
    downloads = None if given.output is None else Downloads(given.output)
    return _stay(tryons, over_http.hear(client, tryons, downloads), given)


def _over_triton(given: argparse.Namespace, garments: Sequence[Path]) -> int:
    if given.server is not None:
        raise InvalidRequestError("--server and --triton are two ways to ask: give one of them.")
    settings = TritonSettings.read(triton_url=given.triton)
    wanted = over_triton.asked(given_fields(given), garments, settings)
    tryons, downloads = [each.tryon for each in wanted], Downloads(given.output or OUTPUT)
    with TritonClient(settings.triton_url) as client:
        over_triton.check(client)
        _announce(tryons)
        with closing(over_triton.hear(client, wanted, downloads, settings)) as moments:
            return _stay(tryons, moments, given, _say_they_were_stopped)


def _say_they_were_stopped(names: Sequence[str], _: argparse.Namespace) -> None:
    remark("\nThe try-on was stopped." if len(names) == 1 else f"\n{len(names)} try-ons were stopped, or not begun.")


def _say_they_go_on(names: Sequence[str], given: argparse.Namespace) -> None:
    name, more = names[0] if len(names) == 1 else "ID", server.more(given)
    remark("\nThe try-on goes on." if len(names) == 1 else f"\n{len(names)} try-ons go on.")
    remark(f"Look at it:  vtryon status {name}{more}\nStop it:     vtryon cancel {name}{more}")


def _stay(
    tryons: Sequence[Followed], moments: Iterator[None], given: argparse.Namespace, say: Left = _say_they_go_on
) -> int:
    """Until all have ended, or Ctrl-C; whether all succeeded."""
    try:
        watch(tryons, moments)
    except KeyboardInterrupt:
        say([each.name for each in tryons if each.answer is None], given)
        return STOPPED
    answers = [each.answer for each in tryons if each.answer is not None]
    if given.json:
        for answer in answers:
            print(answer.model_dump_json(indent=2 if len(tryons) == 1 else None))  # noqa: T201
    elif len(tryons) == 1:
        tell(answers[0], tryons[0].file)
    else:
        tell_all(tryons)
    return 0 if all(result_of(answer).state == "succeeded" for answer in answers) else 1


def _announce(tryons: Sequence[Followed]) -> None:
    for each in tryons:
        remark(f"try-on {each.name}  {each.label}")


def _say_ids(tryons: Sequence[Followed], given: argparse.Namespace) -> None:
    for each in tryons:
        ids = {"correlation_id": each.name, "request_id": each.request_id}
        print(json.dumps(ids) if given.json else each.name, flush=True)  # noqa: T201
    if not given.json:
        name = tryons[0].name if len(tryons) == 1 else "ID"
        remark(f"Look at it: vtryon status {name}{server.more(given)}")
