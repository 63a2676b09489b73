"""Try-ons on Triton, one after the other: pictures go there as data, and what comes of them comes back."""

import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.cli.downloads import Downloads
from orchestrator.cli.flags import GARMENT, PICTURES, flag
from orchestrator.cli.followed import Followed, followed
from orchestrator.cli.triton_answers import OUTPUTS, Asked, failed, succeeded
from orchestrator.models import TryOnRequest
from orchestrator.steps import STEPS
from orchestrator.workflow import request_id
from shared_utils.contracts import Progress
from shared_utils.errors import ImageNotFoundError, InvalidRequestError, VtryonError
from shared_utils.settings import Settings
from shared_utils.stage import parse
from shared_utils.transports.triton.client import TritonClient
from shared_utils.transports.triton.errors import TritonUnavailableError
from shared_utils.transports.triton.news import News, Told, call_id
from shared_utils.transports.triton.pipeline import NAME
from shared_utils.transports.triton.settings import TritonSettings
from shared_utils.transports.triton.tensors import field_tensors
from shared_utils.transports.triton.wire import Value, field_value

CALLBACK = "callback_url"
SAMPLER = ("cfg", "sampler_name")
DATATYPES = {tensor.name: tensor.wire_type for tensor in field_tensors(TryOnRequest)}


def asked(fields: Mapping[str, Any], garments: Sequence[Path], settings: Settings) -> list[Asked]:
    """One for each garment, all checked before the first is begun."""
    if CALLBACK in fields:
        raise InvalidRequestError(f"{flag(CALLBACK)} is for a gateway. With --triton the command waits for the answer.")
    return [_asked({**fields, GARMENT: str(garment)}, garment, settings) for garment in garments]


def _asked(fields: dict[str, Any], garment: Path, settings: Settings) -> Asked:
    request = parse(TryOnRequest, settings, fields)
    for name in PICTURES:
        path = getattr(request, name)
        if path is not None and not Path(path).is_file():
            raise ImageNotFoundError(f"No picture {path} on this machine ({flag(name)}).")
    name = request.correlation_id or uuid.uuid4().hex
    request = request.model_copy(update={"correlation_id": name})
    # Whether the negative prompt is read hangs on these two, so they are said.
    sent = {*fields, *SAMPLER, "request_id", "correlation_id", "timestamp"} - PICTURES.keys()
    return Asked(followed(name, request.request_id, garment), request, frozenset(sent))


def check(client: TritonClient) -> None:
    """TritonUnavailableError if there is nobody to ask."""
    if not client.ready(NAME):
        raise TritonUnavailableError(
            f"Triton at {client.address} has no model {NAME} that is ready. `vtryon triton build` makes it."
        )


def hear(
    client: TritonClient, wanted: Sequence[Asked], downloads: Downloads, settings: TritonSettings
) -> Generator[None, None, None]:
    """Whenever something has come, or nothing for a moment, until all have ended and their pictures are saved.

    Whoever stops listening stops the one under way, and the others are not begun.
    """
    for each in wanted:
        yield from _hear(client, each, downloads, settings.triton_timeout_seconds)


def _hear(client: TritonClient, each: Asked, downloads: Downloads, seconds: float) -> Iterator[None]:
    tryon, name = each.tryon, call_id(each.request.request_id)
    tryon.course.taken = True
    try:
        news = News(client, name)
        call = client.begin(NAME, _inputs(each), OUTPUTS, name, seconds)
        with news.stopping(call):
            for told in news.of(call):
                for step in told:
                    _hear_of_step(tryon, step)
                yield
        view, picture = succeeded(each, call.result())
        tryon.file = downloads.save(picture, tryon.label)
        tryon.hear(view.model_copy(update={"image_path": str(tryon.file)}))
    except VtryonError as error:
        tryon.hear(failed(each, error))
    yield


def _inputs(each: Asked) -> dict[str, Value]:
    fields = each.request.model_dump(mode="json", include=set(each.sent), exclude_none=True)
    pictures = {tensor: getattr(each.request, field) for field, tensor in PICTURES.items()}
    return {
        **{tensor: Value.data(_content(Path(path))) for tensor, path in pictures.items() if path is not None},
        **{name: field_value(DATATYPES[name], value) for name, value in fields.items()},
        "encode_negative": field_value("BOOL", each.request.reads_negative()),
        "encode_content": field_value("BOOL", each.request.reads_latent()),
    }


def _content(picture: Path) -> bytes:
    try:
        return picture.read_bytes()
    except OSError as denied:
        raise ImageNotFoundError(f"The picture {picture} can't be read: {denied.strerror}.") from None


def _hear_of_step(tryon: Followed, told: Told) -> None:
    if told.stage not in STEPS:
        return
    for before in _before(told.stage):
        tryon.hear(_progress(tryon, before, state="done"))
    step = told.step
    tryon.hear(_progress(tryon, told.stage, state="running", node=step.node, done=step.done, total=step.total))


def _before(step: str) -> Iterator[str]:
    """What is done when this one works."""
    for need in STEPS[step].needs:
        yield from _before(need)
        yield need


def _progress(tryon: Followed, step: str, **fields: Any) -> Progress:
    return Progress(correlation_id=tryon.name, request_id=request_id(tryon.name, step, 1), step=step, **fields)
