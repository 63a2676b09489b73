"""The web page: the files beside this one, and no others."""

from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from shared_utils.transports.rest.errors import PathUnknownError

FOLDER = Path(__file__).parent.with_name("page")
INDEX = "index.html"
MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}
"""Not left to the machine's own table, which browsers are told to believe."""


class WholeFile(FileResponse):
    """A file as one answer: parts of it are not given out."""

    def __init__(self, path: Path, media_type: str, headers: Mapping[str, str], filename: str | None = None) -> None:
        super().__init__(path, media_type=media_type, headers={"accept-ranges": "none", **headers}, filename=filename)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        whole = [header for header in scope["headers"] if header[0] != b"range"]
        await super().__call__({**scope, "headers": whole}, receive, send)


def page_routes() -> list[Route]:
    files = {file.name: file for file in FOLDER.iterdir() if file.suffix in MEDIA_TYPES}

    async def index(request: Request) -> Response:
        return _file(files, INDEX)

    async def file(request: Request) -> Response:
        return _file(files, request.path_params["name"])

    return [Route("/", index), Route("/page/{name}", file)]


def _file(files: Mapping[str, Path], name: str) -> Response:
    """By its name among those that there are: a path is never made of what somebody sends."""
    if name not in files:
        raise PathUnknownError("The page has no such file.")
    return WholeFile(files[name], MEDIA_TYPES[files[name].suffix], {"cache-control": "no-cache"})
