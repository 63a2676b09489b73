"""What a response means for a download: where its body begins, or what is wrong."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from shared_utils.downloads.errors import DownloadFailedError, DownloadInterruptedError
from shared_utils.downloads.files import ModelFile, readable
from shared_utils.downloads.source import Answer, Source, shown

PASSING = {408, 425, 429, 500, 502, 503, 504}
CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")
LONGEST_ETAG = 200


class RangeError(DownloadInterruptedError):
    """The server does not give the part that it was asked for."""


def begins_at(answer: Answer, file: ModelFile, asked: int, source: Source) -> int:
    """Where in the file the body begins: at what was asked for, or at 0."""
    response = answer.response
    if response.status_code == 206:
        _check_range(response, file, asked)
        return asked
    if response.status_code == 416:
        raise RangeError(f"{shown(response.url)} has nothing from byte {asked} on")
    if response.status_code != 200:
        raise refusal(response, file, source)
    _check_whole(answer, file)
    return 0


def refusal(response: httpx.Response, file: ModelFile, source: Source) -> DownloadFailedError:
    """What to do about a status that is an error."""
    status, where = response.status_code, shown(response.url)
    if status in PASSING:
        return DownloadInterruptedError(f"{where} answers {status}", _retry_after(response))
    if status in {401, 403}:
        return DownloadFailedError(f"{where} answers {status}: {_about_token(file, source)}")
    if status in {404, 410}:
        return DownloadFailedError(
            f"{where} answers {status}: the file is not there. A mirror in HF_ENDPOINT needs the paths of Hugging Face."
        )
    return DownloadFailedError(f"{where} answers {status}, which is no file.")


def strong_etag(response: httpx.Response) -> str | None:
    """What tells this version of the file from others, if the server says it."""
    etag = response.headers.get("etag", "")
    good = etag.startswith('"') and etag.endswith('"') and len(etag) <= LONGEST_ETAG and etag.isascii()
    return etag if good and etag.isprintable() else None


def _check_range(response: httpx.Response, file: ModelFile, asked: int) -> None:
    given = response.headers.get("content-range", "")
    found = CONTENT_RANGE.fullmatch(given)
    if not asked or found is None:
        raise RangeError(f"{shown(response.url)} answers with a part that was not asked for")
    first, last, whole = found.groups()
    if int(first) != asked or int(last) >= file.size or (whole != "*" and int(whole) != file.size):
        raise RangeError(f"{shown(response.url)} was asked for bytes {asked}- of {file.size} and answers {given!r}")


def _check_whole(answer: Answer, file: ModelFile) -> None:
    """Before the first byte of it is written."""
    response = answer.response
    where, length = shown(response.url), response.headers.get("content-length")
    if response.headers.get("content-type", "").startswith("text/html"):
        raise DownloadFailedError(
            f"{where} sends a web page, no model. Something in between wants you to log in, or HF_ENDPOINT is no "
            "mirror of Hugging Face."
        )
    if response.headers.get("content-encoding", "identity") != "identity":
        raise DownloadFailedError(f"{where} sends the file in another encoding than was asked for.")
    named = answer.named
    if named is not None and (named.size, named.sha256) != (file.size, file.sha256):
        raise DownloadFailedError(
            f"{where} has another {file.name} than vtryon knows: {named.size} bytes with SHA-256 {named.sha256}, not "
            f"{file.size} bytes with {file.sha256}. If it was published anew and you trust it: --unpinned."
        )
    if length is not None and length != str(file.size):
        raise DownloadFailedError(
            f"{where} has {length} bytes, but {file.name} has {file.size} ({readable(file.size)}): it is another file."
        )


def _about_token(file: ModelFile, source: Source) -> str:
    if source.withheld:
        return "HF_TOKEN is not sent there, because HF_ENDPOINT is plain http: use https."
    if source.has_token:
        return (
            "HF_TOKEN is not accepted. See that it is valid and may read, and that its owner has accepted the terms of "
            f"{file.repository}, if there are any."
        )
    return f"it wants a login. Set HF_TOKEN to an access token that may read {file.repository}."


def _retry_after(response: httpx.Response) -> int | None:
    given = response.headers.get("retry-after", "")
    if given.isascii() and given.isdigit():
        return int(given[:9])
    try:
        return max(0, round((parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds()))
    except (ValueError, TypeError):
        return None
