"""How much of a request's body is read, and for how long.

Whoever sends more, or dawdles, is answered at once and hears no more of it. The answer has to get through: a connection
that is closed while the other side still sends is reset, and what was on its way to them is lost. So what they send is
thrown away for a moment before the connection is closed.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared_utils.errors import VtryonError
from shared_utils.ports import TooSlowError
from shared_utils.transports.rest.errors import TooLargeError

LINGER_SECONDS = 2.0
"""For whoever is still sending to read the answer and stop."""
GONE: Message = {"type": "http.disconnect"}


class Bounded:
    """An app of which no request's body is longer, or takes longer, than this."""

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float, refuse: Callable[[VtryonError], Response]) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        announced = _announced(scope)
        if announced == 0:
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send, self._max_bytes, self._seconds)
        if announced is not None and announced > self._max_bytes:
            exchange.refusal = _too_large(self._max_bytes)
        else:
            await self._answered(scope, exchange)
        if exchange.refusal is not None and not exchange.started:
            await self._refuse(exchange.refusal)(scope, receive, exchange.forward)

    async def _answered(self, scope: Scope, exchange: "_Exchange") -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception:
            # To the app the client had gone: what it makes of that is nobody's concern.
            if exchange.refusal is None:
                raise


class _Exchange:
    """One request and its answer."""

    def __init__(self, receive: Receive, send: Send, max_bytes: int, seconds: float) -> None:
        self.refusal: VtryonError | None = None
        self.started = False
        """Whether something was answered."""
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._size = 0
        self._whole = False
        self._lingers = False

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()
        if self.refusal is not None:
            return GONE
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._next()
        except TimeoutError:
            self.refusal = TooSlowError(
                f"The request's body did not arrive within {self._seconds:g} seconds. Send it again, faster."
            )
            return GONE
        self._size += len(message.get("body", b""))
        if self._size > self._max_bytes:
            self.refusal = _too_large(self._max_bytes)
            return GONE
        return message

    async def send(self, message: Message) -> None:
        if self.refusal is None or self.started:
            await self.forward(message)

    async def forward(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self._lingers = not self._whole
            if self._lingers:
                headers = [header for header in message.get("headers", ()) if header[0].lower() != b"connection"]
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
        elif self._lingers and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _next(self) -> Message:
        message = await self._receive()
        self._whole = not message.get("more_body", False)
        return message

    async def _linger(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._whole:
                    await self._next()


def _announced(scope: Scope) -> int | None:
    """How long the body is to be: None if its sender does not say."""
    headers = dict(scope.get("headers", ()))
    if b"transfer-encoding" in headers:
        return None
    return int(headers.get(b"content-length", b"0"))


def _too_large(max_bytes: int) -> TooLargeError:
    return TooLargeError(f"The request's body is larger than {max_bytes / 1e6:g} MB, which is the most that is read.")
