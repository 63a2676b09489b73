"""The events of one try-on, one after the other, and how they are written for a browser."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from orchestrator.gateway.models import Cursor, Event
from orchestrator.gateway.view.follower import Follower
from orchestrator.gateway.view.view import View

KEEP_ALIVE = b": keep-alive\n\n"
KEEP_ALIVE_SECONDS = 15.0
PLACE_SECONDS = 1.0
"""How often it is seen how many are before one that waits."""
MOST = 100
"""Events that are read at once: pieces of progress can have pictures in them."""


async def stream(view: View, follower: Follower, name: str, after: Cursor) -> AsyncIterator[Event | None]:
    """What comes after the cursor, until the try-on has ended, is forgotten, or the follower is closed. None when it is
    time to show that one is still there. Nothing at all before the follower is ready: the end of a try-on may have been
    read, and what came before it not yet."""
    loop, news = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(news.set)

    unsubscribe = follower.subscribe(name, tell)
    shown, spoke = b"", loop.time()
    try:
        while follower.ready.is_set() and not follower.closed.is_set():
            news.clear()
            events = view.events(name, after, MOST)
            for event in events:
                yield event
                after, spoke = event.cursor or after, loop.time()
            if events:
                if events[-1].last:
                    return
                continue
            place = view.place(name)
            if place is None and (view.told(name, after) or view.tryon(name) is None):
                return
            if place is not None and place != shown:
                shown, spoke = place, loop.time()
                yield Event("status", place)
            elif loop.time() - spoke >= KEEP_ALIVE_SECONDS:
                spoke = loop.time()
                yield None
            silence = spoke + KEEP_ALIVE_SECONDS - loop.time()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), silence if place is None else min(silence, PLACE_SECONDS))
    finally:
        unsubscribe()


def framed(event: Event) -> bytes:
    """As server-sent events are written. JSON has no line breaks."""
    number = b"" if event.cursor is None else f"id: {event.cursor}\n".encode()
    return b"event: %b\n%bdata: %b\n\n" % (event.kind.encode(), number, event.data)
