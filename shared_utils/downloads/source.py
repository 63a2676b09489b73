"""The host that files are asked of: what it is sent, and where it may send us."""

import ipaddress
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from shared_utils.downloads.errors import DownloadFailedError
from shared_utils.errors import InvalidRequestError

MOST_REDIRECTS = 5
REDIRECTS = {301, 302, 303, 307, 308}
NOWHERE = "the address, or the one that it redirects to, is none that can be reached. Look at HF_ENDPOINT."
HOST = re.compile(r"[\w.:-]+")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Named:
    """What Hugging Face says of a file before it sends us to where it lies."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Answer:
    """The response at the end of all redirects."""

    response: httpx.Response
    named: Named | None


class Source:
    """Hugging Face, or a mirror. Its token goes to no other host, and over no connection that others can read."""

    def __init__(self, endpoint: str, token: SecretStr | None = None) -> None:
        try:
            base = httpx.URL(endpoint.strip().rstrip("/"))
        except httpx.InvalidURL:
            raise _unusable() from None
        if not _is_of_the_web(base) or base.query or base.fragment:
            raise _unusable()
        self._base = base
        self._token = _checked(token)
        self.withheld = self._token is not None and not _private(base)
        """There is a token, and it is not sent: anybody on the way could read it."""
        self.has_token = self._token is not None and not self.withheld

    def __str__(self) -> str:
        return shown(self._base)

    @asynccontextmanager
    async def opened(
        self, client: httpx.AsyncClient, place: str, headers: Mapping[str, str], method: str = "GET"
    ) -> AsyncIterator[Answer]:
        """The answer to a request for the file at this place, its body not read yet."""
        url = httpx.URL(f"{self._base}/{place}")
        named: Named | None = None
        for _ in range(MOST_REDIRECTS + 1):
            request = client.build_request(method, url, headers={**headers, **self._authorization(url)})
            try:
                response = await client.send(request, stream=True)
            except (httpx.InvalidURL, UnicodeError):  # httpx reads where it is sent to, though it does not follow
                raise DownloadFailedError(f"{shown(url)}: {NOWHERE}") from None
            try:
                if self._is_ours(url):
                    named = _named(response) or named
                if response.status_code not in REDIRECTS or (method == "HEAD" and named):
                    yield Answer(response, named)
                    return
                url = _followed(url, response)
            finally:
                await response.aclose()
        raise DownloadFailedError(
            f"{self} redirects more than {MOST_REDIRECTS} times and never gets to the file. Try again later, or set "
            "HF_ENDPOINT to another mirror."
        )

    def _authorization(self, url: httpx.URL) -> dict[str, str]:
        if self._token is None or self.withheld or not self._is_ours(url):
            return {}
        return {"Authorization": f"Bearer {self._token}"}

    def _is_ours(self, url: httpx.URL) -> bool:
        return (url.scheme, url.host, url.port) == (self._base.scheme, self._base.host, self._base.port)


def shown(url: httpx.URL) -> str:
    """Without what may be a secret in it: a password, or the signature of a link to storage."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))


def _unusable() -> InvalidRequestError:
    # Its value is not shown: it may hold a password.
    return InvalidRequestError("HF_ENDPOINT is no address: give https://host, or http://host:port/path of a mirror.")


def _is_of_the_web(url: httpx.URL) -> bool:
    return url.scheme in {"http", "https"} and bool(HOST.fullmatch(url.host)) and 0 < (url.port or 1) < 65536


def _checked(token: SecretStr | None) -> str | None:
    value = token.get_secret_value().strip() if token else ""
    if not (value.isascii() and value.isprintable()):
        raise InvalidRequestError("HF_TOKEN has characters that no token has: copy it anew.")
    return value or None


def _private(url: httpx.URL) -> bool:
    """Whether nobody on the way can read along."""
    if url.scheme == "https" or url.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return False


def _named(response: httpx.Response) -> Named | None:
    size = response.headers.get("x-linked-size", "")
    sha256 = response.headers.get("x-linked-etag", "").strip('"')
    if not (size.isascii() and size.isdigit() and len(size) < 16 and SHA256.fullmatch(sha256)):
        return None
    return Named(int(size), sha256)


def _followed(url: httpx.URL, response: httpx.Response) -> httpx.URL:
    try:
        there = url.join(response.headers["location"])
    except (KeyError, httpx.InvalidURL):
        raise DownloadFailedError(f"{shown(url)}: {NOWHERE}") from None
    if not _is_of_the_web(there):
        raise DownloadFailedError(f"{shown(url)} redirects to {shown(there)!r}, which is not followed.")
    if url.scheme == "https" and there.scheme == "http":
        raise DownloadFailedError(
            f"{shown(url)} redirects from https to plain http, which others could read and change: not followed."
        )
    return there
