"""The client against a real gateway, and against servers that are none or break off."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from orchestrator import calling
from orchestrator.calling import RefusedError, ServerUnreachableError, UnexpectedAnswerError
from orchestrator.client import Client, Event
from orchestrator.gateway.models import TryOnView
from shared_utils.contracts import Progress
from shared_utils.errors import ImageNotFoundError, InvalidRequestError, VtryonError
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from tests.kafka.support import until
from tests.orchestrator.cli.orchestrating import succeeded, tryon
from tests.orchestrator.gateway.drawn import picture
from tests.orchestrator.gateway.house import House, house_on

KEY = "k" * 32
RUNNING = TryOnView.of(tryon("try-7")).model_dump_json()
ENDED = TryOnView.of(succeeded("try-7")).model_dump_json()
BUSY = {"detail": "Too many wait.", "code": "TOO_MANY_WAITING", "retryable": True}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    keys = json.dumps({"me": KEY})
    with EmbeddedBroker() as broker, house_on(broker, tmp_path_factory.mktemp("house"), gateway_api_keys=keys) as made:
        yield made


@pytest.fixture
def client(house: House) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{house.running.http_port}/", SecretStr(KEY)) as made:
        yield made


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A person and two garments."""
    made = [tmp_path / name for name in ("person.png", "shirt.png", "coat.png")]
    for file in made:
        file.write_bytes(picture())
    return made


def told(events: Iterable[Event]) -> list[str]:
    """The news of those that come again; two topics' may come in another order."""
    return sorted(event.news.model_dump_json() for event in events if event.id is not None)


def steps_heard_to_their_end(events: Iterable[Event]) -> int:
    news = [event.news for event in events]
    return sum(isinstance(each, Progress) and each.state == "done" for each in news)


# ---- a gateway


def test_from_asking_to_the_picture(client: Client, files: list[Path]) -> None:
    shirt, coat = client.submit(files[0], files[1:], prompt="as it is", seed=2**64 - 1, megapixels=0.25)
    assert (shirt.prompt, shirt.seed) == ("as it is", 2**64 - 1)
    heard = list(client.events(shirt.id))
    assert [event.news.state for event in heard if isinstance(event.news, TryOnView)][-1] == "succeeded"
    assert any(isinstance(event.news, Progress) for event in heard)
    # What a stage says of itself can come after the end; and what has no id is nothing to come back to.
    until(lambda: steps_heard_to_their_end(client.events(shirt.id)) == 4, "all has been said")
    kept = [event for event in client.events(shirt.id) if event.id is not None]
    for number, event in enumerate(kept, 1):
        assert told(client.events(shirt.id, event.id)) == told(kept[number:])
    *_, last = client.events(coat.id)
    assert last.news == client.get(coat.id)
    found = client.picture(shirt.id)
    assert (found.suffix, found.content[1:4]) == (".png", b"PNG")


def test_the_same_key_is_the_same_try_on(client: Client, files: list[Path]) -> None:
    first = client.submit(files[0], files[1:], idempotency_key="a key")
    again = client.submit(files[0], files[1:], idempotency_key="a key")
    assert [each.id for each in first] == [each.id for each in again]
    with pytest.raises(RefusedError) as refused:
        client.submit(files[0], files[1:], idempotency_key="a key", seed=3)
    assert (refused.value.code, refused.value.status) == ("IDEMPOTENCY_KEY_REUSED", 409)


def test_cancelled(house: House, client: Client, files: list[Path]) -> None:
    house.hold()
    (view,) = client.submit(files[0], files[1:2], files[2])
    client.cancel(view.id)
    house.go()
    *_, last = client.events(view.id)
    assert isinstance(last.news, TryOnView)
    assert last.news.state == "cancelled"
    assert client.cancel(view.id).state == "cancelled"
    with pytest.raises(RefusedError, match="has no picture") as refused:
        client.picture(view.id)
    assert refused.value.code == "TRYON_NOT_SUCCEEDED"


def test_pages(client: Client, files: list[Path]) -> None:
    names = [view.id for view in client.submit(files[0], files[1:])]
    for name in names:
        list(client.events(name))
    first = client.page(limit=1)
    second = client.page(limit=1, cursor=first.next)
    assert {view.id for view in first.try_ons + second.try_ons} == set(names)
    assert all(view.state == "succeeded" for view in client.page("succeeded").try_ons)


@pytest.mark.parametrize("name", ["nobody", "../info", "a/b", "ä?b#c"])
def test_unknown(client: Client, name: str) -> None:
    for call in (client.get, client.cancel, client.picture, lambda name: list(client.events(name))):
        with pytest.raises(RefusedError) as refused:
            call(name)
        assert refused.value.code == ("PATH_UNKNOWN" if "/" in name else "TRYON_UNKNOWN")
        assert not refused.value.retryable


def test_refused(house: House, client: Client, files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="steps") as refused:
        client.submit(files[0], files[1:], steps=0)
    assert refused.value.code == "INVALID_REQUEST"
    with pytest.raises(ImageNotFoundError, match=r"nobody\.png can't be read: No such file"):
        client.submit(tmp_path / "nobody.png", files[1:])
    with (
        Client(f"http://127.0.0.1:{house.running.http_port}", SecretStr("another key")) as stranger,
        pytest.raises(RefusedError) as unknown,
    ):
        stranger.page()
    assert unknown.value.code == "UNAUTHORIZED"


# ---- and others


def client_of(answer: Callable[[httpx.Request], httpx.Response], pauses: list[float] | None = None) -> Client:
    """One of a server that answers so."""
    told: list[float] = [] if pauses is None else pauses
    return Client("http://gateway.test", transport=httpx.MockTransport(answer), pause=told.append)


def stream(*events: str, end: BaseException | None = None) -> httpx.Response:
    """Events that come, and what happens then."""

    def pieces() -> Iterator[bytes]:
        for event in events:
            yield event.encode()
        if end is not None:
            raise end

    return httpx.Response(200, content=pieces())


def status(view: str, name: str) -> str:
    return f"event: status\nid: {name}\ndata: {view}\n\n"


def test_a_stream_that_breaks_is_taken_up_where_it_broke() -> None:
    answers = [
        stream(status(RUNNING, "1.-1"), "event: of a later version\ndata: {}\n\n", end=httpx.ReadError("gone")),
        httpx.Response(503, json=BUSY, headers={"retry-after": "7"}),
        httpx.Response(502, text="a proxy with nobody behind it"),
        stream(": only a comment\n\n"),
        stream("event: status\ndata: " + RUNNING + "\n\n", status(ENDED, "2.-1")),
    ]
    asked: list[str | None] = []
    pauses: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id"))
        return answers.pop(0)

    with client_of(answer, pauses) as client:
        heard = list(client.events("try-7", "0.-1"))
    assert [event.id for event in heard] == ["1.-1", None, "2.-1"]
    assert asked == ["0.-1", *["1.-1"] * 4]
    assert pauses == [0.5, 7, 2.0, 4.0]


def test_a_stream_of_which_all_was_heard() -> None:
    with client_of(lambda request: httpx.Response(204)) as client:
        assert list(client.events("try-7", "2.-1")) == []


@pytest.mark.parametrize("data", ["{", "{}", '"' + "x" * 100])
def test_events_that_are_none(data: str) -> None:
    broken = f"event: status\ndata: {data}\n\n"
    with (
        client_of(lambda request: stream(broken)) as client,
        pytest.raises(UnexpectedAnswerError, match="events that can't be read"),
    ):
        list(client.events("try-7"))


def test_what_asks_to_come_back_is_asked_again() -> None:
    answers = [httpx.Response(429, json=BUSY, headers={"retry-after": "3"}), httpx.Response(200, text=RUNNING)]
    pauses: list[float] = []
    with client_of(lambda request: answers.pop(0), pauses) as client:
        assert client.get("try-7").state == "running"
    assert pauses == [3]


def test_patience_has_an_end(files: list[Path]) -> None:
    keys: list[str] = []
    pauses: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["idempotency-key"])
        assert request.read().count(b"PNG") == 2
        raise httpx.ConnectError("refused")

    with client_of(answer, pauses) as client, pytest.raises(ServerUnreachableError, match=r"refused\..*--server"):
        client.submit(files[0], files[1:2])
    assert len(keys) == calling.TRIES
    assert len(set(keys)) == 1
    assert len(pauses) == calling.TRIES - 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"id": "try-7"}),
        httpx.Response(404, text="<html>"),
        httpx.Response(500, json={"detail": "no code"}),
        httpx.Response(301, headers={"location": "http://elsewhere.test/"}),
    ],
)
def test_what_answers_is_no_gateway(answer: httpx.Response) -> None:
    with client_of(lambda request: answer) as client, pytest.raises(UnexpectedAnswerError) as refused:
        client.get("try-7")
    assert "http://gateway.test answered with" in refused.value.message
    assert not refused.value.retryable


def test_no_more_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "MOST_BYTES", 10)
    monkeypatch.setattr("orchestrator.client.MOST_PICTURE_BYTES", 10)
    big = httpx.Response(200, content=b"x" * 11, headers={"content-type": "image/png"})
    with client_of(lambda request: big) as client, pytest.raises(UnexpectedAnswerError, match="more than 10 bytes"):
        client.picture("try-7")
    page = httpx.Response(200, text="<html>", headers={"content-type": "text/html"})
    with client_of(lambda request: page) as client, pytest.raises(UnexpectedAnswerError, match="type 'text/html'"):
        client.picture("try-7")


@pytest.mark.parametrize("server", ["localhost:8080", "ftp://host", "http://", "", "http://[::1", "gateway"])
def test_addresses_that_are_none(server: str) -> None:
    with pytest.raises(InvalidRequestError, match="give http://host:port"):
        Client(server)


def test_nobody_there() -> None:
    with Client("http://127.0.0.1:1", pause=lambda seconds: None) as client, pytest.raises(VtryonError) as failed:
        client.info()
    assert failed.value.code == "SERVER_UNREACHABLE"
