"""Calls to a gateway over HTTP: made again when a connection breaks, read up to a limit, and refused in its words."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr, ValidationError

from shared_utils import __version__
from shared_utils.contracts import Message
from shared_utils.errors import InvalidRequestError, VtryonError, first_line
from shared_utils.telemetry.traces import outgoing

CONNECT_SECONDS, SECONDS = 10.0, 60.0
TRIES = 4
"""Of which the first may have had bad luck; who gave a wrong address should soon hear of it."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
COME_BACK_LATER = {429, 503}
NOBODY_THERE = {502, 503, 504}
"""What a proxy answers while there is no gateway behind it."""
MOST_BYTES = 64 * 1024 * 1024


class ServerUnreachableError(VtryonError):
    """No gateway answers, or not to the end."""

    code = "SERVER_UNREACHABLE"
    retryable = True


class UnexpectedAnswerError(VtryonError):
    """What answers is no gateway, or one of another version."""

    code = "UNEXPECTED_ANSWER"


class RefusedError(VtryonError):
    """The gateway answered with a problem: its code, its message, and whether to try again."""

    def __init__(self, problem: "Problem", status: int, retry_after: int | None = None) -> None:
        super().__init__(problem.detail)
        # Each has its own; of our own errors they are the class's.
        self.code = problem.code  # type: ignore[misc]
        self.retryable = problem.retryable  # type: ignore[misc]
        self.status = status
        self.retry_after = retry_after


class Problem(Message):
    """Problem details (RFC 9457), as far as a client uses them."""

    detail: str
    code: str
    retryable: bool = False


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: httpx.Headers
    content: bytes


class Calls:
    """To one address. Safe to be used by several threads."""

    def __init__(
        self,
        server: str,
        api_key: SecretStr | None,
        transport: httpx.BaseTransport | None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.server = server.rstrip("/")
        self._pause = pause
        headers = {"user-agent": f"vtryon/{__version__}"}
        if api_key is not None:
            headers["authorization"] = f"Bearer {api_key.get_secret_value()}"
        self._http = httpx.Client(
            base_url=_checked(self.server),
            headers=headers,
            timeout=httpx.Timeout(SECONDS, connect=CONNECT_SECONDS, pool=None),
            transport=transport,
        )

    def close(self) -> None:
        self._http.close()

    def ask(self, method: str, path: str, *, most: int = MOST_BYTES, **given: Any) -> Answer:
        """The answer, of which there may be so many bytes. Only for what does no harm when it is done twice."""
        for failures in range(1, TRIES + 1):
            try:
                with self.answer(method, path, **given) as answer:
                    return self._whole(answer, most)
            except VtryonError as failed:
                self.wait_after(failed, failures)
        raise AssertionError("the last failure is raised")

    def wait_after(self, failed: VtryonError, failures: int, tries: int = TRIES) -> None:
        """Come back when it is worth another try; else, or after too many in a row, raise what failed."""
        later = isinstance(failed, RefusedError) and failed.status in COME_BACK_LATER
        if failures >= tries or not (later or isinstance(failed, ServerUnreachableError)):
            raise failed
        self._pause(min(LONGEST_PAUSE, failed.retry_after or FIRST_PAUSE * 2 ** (failures - 1)))

    @contextmanager
    def answer(self, method: str, path: str, **given: Any) -> Iterator[httpx.Response]:
        """An answer that is no refusal, its body not yet read."""
        given["headers"] = {**(given.get("headers") or {}), **outgoing()}
        try:
            with self._http.stream(method, path, **given) as answer:
                if not answer.is_success:
                    raise self._refused(self._whole(answer, MOST_BYTES))
                yield answer
        except httpx.TransportError as failed:
            raise self.unreachable(first_line(failed)) from None

    def unreachable(self, reason: str) -> ServerUnreachableError:
        return ServerUnreachableError(
            f"No answer from {self.server}: {reason}. Is the gateway there? Look at --server and VTRYON_SERVER."
        )

    def unexpected(self, what: str) -> UnexpectedAnswerError:
        return UnexpectedAnswerError(f"{self.server} answered with {what}. Is it a gateway of this version of vtryon?")

    def _whole(self, answer: httpx.Response, most: int) -> Answer:
        content = bytearray()
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > most:
                raise self.unexpected(f"more than {most} bytes")
        return Answer(answer.status_code, answer.headers, bytes(content))

    def _refused(self, answer: Answer) -> VtryonError:
        try:
            problem = Problem.model_validate_json(answer.content)
        except ValidationError:
            if answer.status in NOBODY_THERE:
                return self.unreachable(f"status {answer.status}")
            return self.unexpected(f"status {answer.status} and no problem details")
        later = answer.headers.get("retry-after", "")
        return RefusedError(problem, answer.status, int(later[:9]) if later.isascii() and later.isdecimal() else None)


def _checked(server: str) -> httpx.URL:
    try:
        url = httpx.URL(server)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidRequestError(f"{server!r} is no address of a gateway: give http://host:port.")
    return url
