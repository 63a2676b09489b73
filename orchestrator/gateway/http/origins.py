"""Which web pages may have a browser send something to the gateway.

Keeping answers from other pages, as CORS does, is not enough: a form on any page can post to an address that only the
person in front of the browser reaches, and have the GPU work for it.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from orchestrator.gateway.errors import OriginNotAllowedError


def check_origin(headers: Mapping[str, str], allowed: Sequence[str]) -> None:
    """Its own page may, and those of `allowed`; whatever is no browser says nothing of its origin."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin in allowed or "*" in allowed:
        return
    # The browser's own word holds behind any proxy; the origin is for older ones.
    own = (
        site in ("same-origin", "none") if site is not None else origin is None or _host(origin) == headers.get("host")
    )
    if not own:
        raise OriginNotAllowedError(
            "This was sent for a web page that is not the gateway's own. GATEWAY_CORS_ORIGINS names those that may."
        )


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
