"""A client of the gateway: try-ons over HTTP.

    with Client("http://localhost:8080") as client:
        (tryon,) = client.submit(Path("person.png"), [Path("garment.png")], seed=7)
        for event in client.events(tryon.id):
            print(event.news)
        Path("tryon.png").write_bytes(client.picture(tryon.id).content)

Calls are made again when a connection breaks or the gateway says to come back later; none is done twice by that.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from orchestrator.calling import CONNECT_SECONDS, Answer, Calls
from orchestrator.gateway.models import TryOnView
from orchestrator.server_sent import ServerSent, parsed
from shared_utils.contracts import Message, Progress
from shared_utils.errors import ImageNotFoundError, VtryonError, first_line

SILENCE_SECONDS = 45.0
"""Of a stream of events. The gateway shows every 15 that it is there."""
STREAM_TRIES = 8
"""In a row; that is a minute, in which a gateway can be started anew."""
ENDED_BEFORE = 204
"""The status of a stream of which all has been heard."""
MOST_PICTURE_BYTES = 512 * 1024 * 1024
SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}

Model = TypeVar("Model", bound=BaseModel)


class Limits(Message):
    """What one call may bring."""

    max_upload_mb: float
    max_garments: int


class Info(Message):
    """What a gateway says of itself, as far as a client uses it."""

    version: str
    limits: Limits


@dataclass(frozen=True)
class Event:
    """News of a try-on. By the id of the last one that had any, `events` goes on from there."""

    news: TryOnView | Progress
    id: str | None


@dataclass(frozen=True)
class Picture:
    content: bytes
    suffix: str


class TryOns(Message):
    """Several, and where the next page begins."""

    try_ons: list[TryOnView]
    next: str | None = None


class Client:
    """One gateway, or several behind one address. Safe to be used by several threads."""

    def __init__(
        self,
        server: str,
        api_key: SecretStr | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._calls = Calls(server, api_key, transport, pause)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._calls.close()

    def submit(
        self,
        person: Path,
        garments: Sequence[Path],
        mask: Path | None = None,
        *,
        idempotency_key: str | None = None,
        **fields: object,
    ) -> list[TryOnView]:
        """One try-on for each garment, in their order. `fields` are a try-on's others. With an idempotency_key that
        was sent before, the try-ons that it was sent for."""
        pictures = [("person", person), *(("garment", garment) for garment in garments)]
        if mask is not None:
            pictures.append(("mask", mask))
        with ExitStack() as opened:
            answer = self._calls.ask(
                "POST",
                "/v1/try-ons",
                headers={"idempotency-key": idempotency_key or uuid.uuid4().hex},
                files=[(name, (path.name, opened.enter_context(_opened(path)))) for name, path in pictures],
                data={name: str(value) for name, value in fields.items() if value is not None},
            )
        return self._read(TryOns, answer).try_ons

    def get(self, name: str) -> TryOnView:
        return self._read(TryOnView, self._calls.ask("GET", _path(name)))

    def cancel(self, name: str) -> TryOnView:
        """Ask for it to be stopped. RefusedError with the code TRYON_ENDED if it has ended otherwise."""
        return self._read(TryOnView, self._calls.ask("DELETE", _path(name)))

    def page(self, state: str | None = None, limit: int | None = None, cursor: str | None = None) -> TryOns:
        """The newest first, those in this state; or of what the page before ended with, the next."""
        wanted = {"state": state, "limit": limit, "cursor": cursor}
        given = {name: value for name, value in wanted.items() if value is not None}
        return self._read(TryOns, self._calls.ask("GET", "/v1/try-ons", params=given))

    def picture(self, name: str) -> Picture:
        """RefusedError with the code TRYON_NOT_SUCCEEDED as long as there is none."""
        answer = self._calls.ask("GET", _path(name, "/image"), most=MOST_PICTURE_BYTES)
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        if kind not in SUFFIXES:
            raise self._calls.unexpected(f"a picture of the type {kind!r}")
        return Picture(answer.content, SUFFIXES[kind])

    def info(self) -> Info:
        return self._read(Info, self._calls.ask("GET", "/v1/info"))

    def events(self, name: str, after: str | None = None) -> Iterator[Event]:
        """What happens to it until it has ended: from the beginning, or from behind the event of this id. When the
        connection breaks it goes on with the next one."""
        failures = 0
        while True:
            try:
                for event in self._stream(name, after):
                    failures, after = 0, event.id or after
                    yield event
            except VtryonError as failed:
                failures += 1
                self._calls.wait_after(failed, failures, STREAM_TRIES)
            else:
                return

    def _stream(self, name: str, after: str | None) -> Iterator[Event]:
        """The events of one connection."""
        headers = {"accept": "text/event-stream"} | ({} if after is None else {"last-event-id": after})
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS, pool=None)
        with self._calls.answer("GET", _path(name, "/events"), headers=headers, timeout=timeout) as answer:
            ended = answer.status_code == ENDED_BEFORE
            try:
                for sent in parsed(answer.iter_bytes()):
                    news = _news(sent)
                    if news is not None:
                        ended = ended or (isinstance(news, TryOnView) and news.ended)
                        yield Event(news, sent.id)
            except ValueError as wrong:  # what pydantic raises is one, too
                raise self._calls.unexpected(f"events that can't be read: {first_line(wrong)}") from None
        if not ended:
            raise self._calls.unreachable("its events broke off")

    def _read(self, kind: type[Model], answer: Answer) -> Model:
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as wrong:
            raise self._calls.unexpected(f"JSON that can't be read: {wrong.errors()[0]['msg']}") from None


def _path(name: str, rest: str = "") -> str:
    return f"/v1/try-ons/{quote(name, safe='')}{rest}"


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as failed:
        raise ImageNotFoundError(f"The picture {path} can't be read: {failed.strerror}.") from None


def _news(sent: ServerSent) -> TryOnView | Progress | None:
    """None if it is of a kind that a later version sends."""
    if sent.event == "status":
        return TryOnView.model_validate_json(sent.data)
    return Progress.model_validate_json(sent.data) if sent.event == "progress" else None
