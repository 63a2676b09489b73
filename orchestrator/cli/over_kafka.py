"""Try-ons over Kafka: asked for by paths on storage that the workers share."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.asking import asked
from orchestrator.cli.finding import find
from orchestrator.cli.flags import PICTURES, flag
from orchestrator.cli.followed import Followed
from orchestrator.config import Config
from orchestrator.listening import Listener
from orchestrator.models import TryOnRequest
from shared_utils.errors import ImageNotFoundError, InvalidRequestError
from shared_utils.settings import Settings
from shared_utils.stage import parse
from shared_utils.transports.kafka.messages import Codec
from shared_utils.transports.kafka.sending import send
from shared_utils.transports.kafka.settings import KafkaSettings


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
                f"No picture {path} on this machine ({flag(name)}). It must lie on storage that the workers share."
            )
    # As they were parsed: numbers are numbers.
    return request.model_dump(mode="json", include={*given, "request_id", "timestamp"})


def refuse_if_known(settings: Config, codec: Codec, correlation_id: str) -> None:
    """A second one of that name would be taken for the first, sent again, and nobody would answer it."""
    found = find(settings, codec, correlation_id)
    if found is not None:
        raise InvalidRequestError(
            f"There is a try-on {correlation_id} already: it is {found.state}. Give another --correlation-id, or none."
        )


def send_requests(settings: KafkaSettings, codec: Codec, requests: Sequence[Mapping[str, Any]]) -> None:
    """Come back when Kafka has them."""
    send(settings, *(asked(codec, request) for request in requests))


def hear(listener: Listener, tryons: Sequence[Followed]) -> Iterator[None]:
    """Whenever something has come, or nothing for a moment, until all have ended."""
    by_name = {each.name: each for each in tryons}
    running = set(by_name)
    for news in listener.news():
        name = None if news is None else news.correlation_id
        if news is not None and name in by_name:
            by_name[name].hear(news)
            if by_name[name].answer is not None:
                running.discard(name)
        yield
        if not running:
            return
