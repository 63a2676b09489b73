"""Try-ons over a gateway: pictures are uploaded, and what comes of them is downloaded."""

import queue
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.cli.downloads import Downloads
from orchestrator.cli.flags import MASK, PERSON
from orchestrator.cli.followed import Followed, followed
from orchestrator.client import Client, Limits
from orchestrator.gateway.models import TryOnView
from shared_utils.contracts import Progress

STREAMS = 16
"""Followed at once. Of many try-ons those asked for first are done first, and the others only wait."""
REDRAWN_SECONDS = 0.2
FORM_SHARE = 0.99
"""Of what one call may upload, for the pictures themselves."""


def ask(client: Client, fields: Mapping[str, Any], garments: Sequence[Path]) -> Iterator[list[Followed]]:
    """Call by call, as many garments at a time as a gateway takes."""
    others = dict(fields)
    person = Path(others.pop(PERSON))
    mask = Path(others.pop(MASK)) if MASK in others else None
    common = sum(_size(picture) for picture in (person, mask) if picture is not None)
    for some in portions(garments, client.info().limits, common):
        views = client.submit(person, some, mask, **others)
        yield [followed(view.id, view.request_id, garment) for view, garment in zip(views, some, strict=True)]


def portions(garments: Sequence[Path], limits: Limits, common: int) -> Iterator[list[Path]]:
    """`common` is the size of what each call uploads besides. A garment that is too large goes alone: the gateway says
    so better."""
    room = limits.max_upload_mb * 1e6 * FORM_SHARE - common
    some: list[Path] = []
    for garment in garments:
        if some and (len(some) == limits.max_garments or sum(map(_size, [*some, garment])) > room):
            yield some
            some = []
        some.append(garment)
    if some:
        yield some


def _size(picture: Path) -> int:
    """One that is not there is missed when it is opened."""
    return picture.stat().st_size if picture.is_file() else 0


@dataclass(frozen=True)
class Heard:
    """What a stream brought, or why it ended."""

    tryon: Followed
    news: TryOnView | Progress | None = None
    file: Path | None = None
    failure: Exception | None = None


def hear(client: Client, tryons: Sequence[Followed], downloads: Downloads | None) -> Iterator[None]:
    """Whenever something has come, or nothing for a moment, until all have ended, and are downloaded if wanted."""
    heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
    waiting = deque(tryons)
    for _ in range(min(STREAMS, len(tryons))):
        # They end with the process, if that ends first.
        threading.Thread(target=_follow, args=(client, waiting, downloads, heard), daemon=True).start()
    running = {each.name for each in tryons}
    while running:
        try:
            each = heard.get(timeout=REDRAWN_SECONDS)
        except queue.Empty:
            yield
            continue
        if each.failure is not None:
            raise each.failure
        if each.news is not None:
            each.tryon.hear(each.news)
        else:
            each.tryon.file = each.file
            running.discard(each.tryon.name)
        yield


def _follow(
    client: Client, waiting: deque[Followed], downloads: Downloads | None, heard: "queue.SimpleQueue[Heard]"
) -> None:
    """One after the other, until none is left."""
    while True:
        try:
            tryon = waiting.popleft()
        except IndexError:
            return
        try:
            for event in client.events(tryon.name):
                heard.put(Heard(tryon, event.news))
            view = client.get(tryon.name)
            heard.put(Heard(tryon, view))
            if downloads is None or view.state != "succeeded":
                heard.put(Heard(tryon))
            else:
                heard.put(Heard(tryon, file=downloads.save(client.picture(view.id), tryon.label)))
        except Exception as failure:  # raised again by whoever waits for it
            heard.put(Heard(tryon, failure=failure))
            return
