"""Try-ons over gRPC: a real gateway and a real engine on a broker in memory, with stages that stand in."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from pydantic import SecretStr

from orchestrator.gateway.models import TryOnView
from orchestrator.gateway.process import running_gateway
from orchestrator.gateway.rpc import client as rpc_client
from orchestrator.gateway.rpc.calls import SubmitRequest, WatchEvent
from orchestrator.gateway.rpc.client import TryOnClient
from orchestrator.gateway.settings import GatewayConfig
from orchestrator.steps import STEPS
from shared_utils.contracts import Message, Progress
from shared_utils.ports import free_port
from shared_utils.transports.grpc.errors import CallFailedError
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from tests.orchestrator.gateway.drawn import picture
from tests.orchestrator.gateway.house import House, door_on, gateway_on, house_on
from tests.shared_utils.transports.grpc.doors import PATIENCE, Caller, Health, refused

KEY = "one-that-nobody-guesses"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with EmbeddedBroker() as broker, house_on(broker, folder, storage_roots=[folder]) as made:
        (folder / "storage").mkdir()
        for name in ("person.png", "shirt.png", "coat.png"):
            (folder / "storage" / name).write_bytes(picture())
        yield made


@pytest.fixture
def held(house: House) -> Iterator[House]:
    """One in which nothing comes further than to its first stages."""
    house.hold()
    yield house
    house.go()


@pytest.fixture
def client(house: House) -> Iterator[TryOnClient]:
    with client_of(house) as made:
        yield made


def client_of(house: House, **others: Any) -> TryOnClient:
    return TryOnClient(f"127.0.0.1:{house.running.grpc_port}", **others)


def asked(**changes: Any) -> SubmitRequest:
    """For one garment, uploaded."""
    return SubmitRequest(**{"person": picture(), "garments": [picture()], **changes})


def failing(code: str, call: Any, *arguments: Any) -> CallFailedError:
    with pytest.raises(CallFailedError) as failed:
        call(*arguments)
    assert failed.value.code == code, failed.value.message
    return failed.value


# ---- asking


def test_pictures_are_uploaded(house: House, client: TryOnClient) -> None:
    garments = [picture(), picture("JPEG", colour="red")]
    tryons = client.submit(asked(garments=garments, mask=picture(), seed=2**64 - 1, prompt="a shirt"))
    assert len(tryons) == 2
    for tryon in tryons:
        done = TryOnView.model_validate(house.wait(tryon.id, "succeeded"))
        assert client.get(tryon.id) == done
        assert (done.seed, done.prompt) == (2**64 - 1, "a shirt")
        assert [step.name for step in done.steps] == list(STEPS)
        assert done.image_path is not None
        assert Path(done.image_path).read_bytes() == picture()


def test_pictures_lie_in_the_storage(house: House, client: TryOnClient) -> None:
    storage = house.orchestra.folder / "storage"
    request = SubmitRequest(
        person_image_path=str(storage / "person.png"),
        garment_image_paths=[str(storage / "shirt.png"), str(storage / "coat.png")],
    )
    assert {house.wait(tryon.id, "succeeded")["state"] for tryon in client.submit(request)} == {"succeeded"}


def test_the_same_key_is_the_same_try_on(client: TryOnClient) -> None:
    once, again = (client.submit(asked(idempotency_key="mine")) for _ in range(2))
    assert once[0].id == again[0].id
    other = failing("IDEMPOTENCY_KEY_REUSED", client.submit, asked(idempotency_key="mine", steps=9))
    assert not other.retryable


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("INVALID_REQUEST", {"person": None}),
        ("INVALID_REQUEST", {"garments": []}),
        ("INVALID_REQUEST", {"garment_image_paths": ["/somewhere.png"]}),
        ("INVALID_REQUEST", {"person_image_path": "/somewhere.png"}),
        ("INVALID_REQUEST", {"idempotency_key": "ü"}),
        ("INVALID_REQUEST", {"garments": [b""] * 101}),
        ("IMAGE_INVALID", {"person": b"no picture"}),
        ("IMAGE_INVALID", {"garments": [picture(), picture()[:40]]}),
        ("IMAGE_INVALID", {"mask": b""}),
        ("PATH_NOT_ALLOWED", {"garments": [], "garment_image_paths": ["/etc/passwd"]}),
        ("PATH_NOT_ALLOWED", {"output_dir": "/etc"}),
        ("PATH_NOT_ALLOWED", {"output_filename": "../up.png"}),
        ("CALLBACK_NOT_ALLOWED", {"callback_url": "http://169.254.169.254/latest"}),
    ],
)
def test_what_is_refused(code: str, changes: dict[str, Any], client: TryOnClient) -> None:
    failing(code, client.submit, asked(**changes))


@pytest.mark.parametrize("fields", [{"megapixels": float("nan")}, {"steps": 2**62}, {"output_format": "gif"}])
def test_values_that_no_contract_lets_out(fields: dict[str, Any], house: House) -> None:
    fields = {"person": picture(), "garments": [picture()], **fields}
    with Caller(house.running.grpc_port, "TryOn", "Submit") as caller:
        refusal = refused(lambda: caller.answer(fields))
    assert (refusal.code, refusal.status) == ("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT)
    assert next(iter(fields.keys() - {"person", "garments"})) in refusal.message


def test_an_upload_that_is_too_large(house: House) -> None:
    content = bytes(34_000_001)
    with Caller(house.running.grpc_port, "TryOn", "Submit") as caller:
        refusal = refused(lambda: caller.unary(content, timeout=PATIENCE))
    assert refusal.status == grpc.StatusCode.RESOURCE_EXHAUSTED


# ---- watching and stopping


def news(events: Sequence[WatchEvent]) -> list[TryOnView | Progress]:
    found = [event.status or event.progress for event in events]
    assert all(found)
    return [each for each in found if each is not None]


def test_all_that_happens_is_told(house: House, client: TryOnClient) -> None:
    (tryon,) = client.submit(asked())
    events = list(client.watch(tryon.id))
    last = events[-1].status
    assert last is not None
    assert last.state == "succeeded"
    assert last == client.get(tryon.id)
    progress = {each.step for each in news(events) if isinstance(each, Progress)}
    assert progress == set(STEPS)
    recorded = [event for event in events if event.cursor is not None]
    assert len({event.cursor for event in recorded}) == len(recorded)


def test_it_goes_on_behind_any_cursor(client: TryOnClient) -> None:
    (tryon,) = client.submit(asked())
    list(client.watch(tryon.id))
    events = list(client.watch(tryon.id))
    for number, event in enumerate(events):
        assert list(client.watch(tryon.id, after=event.cursor)) == events[number + 1 :]


@pytest.mark.parametrize("cursor", ["x", "1.2.3", "1", "99999999999999999999.0"])
def test_a_cursor_that_is_none(cursor: str, client: TryOnClient) -> None:
    (tryon,) = client.submit(asked())
    failing("INVALID_REQUEST", lambda: list(client.watch(tryon.id, after=cursor)))
    list(client.watch(tryon.id))


def test_a_stream_that_breaks_goes_on_with_what_follows(held: House) -> None:
    """The gateway ends in the middle; whoever watches is told the rest by the next one, each event once."""
    paused, back = threading.Event(), threading.Event()

    def pause(seconds: float) -> None:
        paused.set()
        assert back.wait(PATIENCE)

    with gateway_on(held.orchestra) as first:
        port = first.running.grpc_port
        client = client_of(first, pause=pause)
        (tryon,) = client.submit(asked())
        watched = client.watch(tryon.id)
        events = [next(watched)]
        while events[-1].cursor is None:
            events.append(next(watched))
        rest = threading.Thread(target=lambda: events.extend(watched))
        rest.start()
    assert paused.wait(PATIENCE)
    with gateway_on(held.orchestra, gateway_grpc_port=port):
        back.set()
        held.go()
        rest.join(PATIENCE)
        again = news(list(client.watch(tryon.id)))
        for kind in (TryOnView, Progress):  # each has its own order
            assert of(kind, news([event for event in events if event.cursor])) == of(kind, again)
        client.close()


def of(kind: type[Message], found: Sequence[Message]) -> list[Message]:
    return [each for each in found if isinstance(each, kind)]


def test_nobody_comes_back(house: House) -> None:
    pauses: list[float] = []
    with gateway_on(house.orchestra) as ended:
        client = client_of(ended, pause=pauses.append)
    failed = failing("GRPC_UNAVAILABLE", lambda: list(client.watch("any")))
    assert failed.retryable
    assert pauses == list(rpc_client.PAUSES)
    client.close()


def test_a_running_one_is_stopped(held: House, client: TryOnClient) -> None:
    (tryon,) = client.submit(asked())
    held.wait(tryon.id, "running")
    assert client.cancel(tryon.id).id == tryon.id
    events = list(client.watch(tryon.id))
    assert events[-1].status is not None
    assert events[-1].status.state == "cancelled"
    assert client.cancel(tryon.id).state == "cancelled"


def test_one_that_has_ended_is_not_stopped(house: House, client: TryOnClient) -> None:
    (tryon,) = client.submit(asked())
    house.wait(tryon.id, "succeeded")
    failing("TRYON_ENDED", client.cancel, tryon.id)


def test_one_that_nobody_knows(client: TryOnClient) -> None:
    for call in (client.get, client.cancel, lambda name: list(client.watch(name))):
        failing("TRYON_UNKNOWN", call, "never-heard-of")


@pytest.mark.parametrize("method", ["Get", "Cancel"])
def test_an_id_that_is_missing(method: str, house: House) -> None:
    with Caller(house.running.grpc_port, "TryOn", method) as caller:
        refusal = refused(lambda: caller.answer({}))
    assert (refusal.code, refusal.message) == ("INVALID_REQUEST", "id is missing.")


# ---- who may come in


def test_a_key_is_needed(tmp_path: Path) -> None:
    keys = f'{{"ann": "{KEY}"}}'
    with (
        EmbeddedBroker() as broker,
        door_on(broker, tmp_path, gateway_api_keys=keys, gateway_rate_per_minute=1) as door,
    ):
        for wrong in (None, SecretStr("another")):
            with client_of(door, api_key=wrong) as client:
                calls = (client.get, client.cancel, lambda name: list(client.watch(name)))
                for call in calls:
                    failing("UNAUTHORIZED", call, "any")
                failing("UNAUTHORIZED", client.submit, asked())
        with client_of(door, api_key=SecretStr(KEY)) as client:
            (tryon,) = client.submit(asked())
            assert client.get(tryon.id).state == "waiting"
            later = failing("RATE_LIMITED", client.submit, asked())
            assert later.retryable
            assert later.retry_after


def test_whoever_may_not_come_in_need_not_send_anything(tmp_path: Path) -> None:
    """The message is not waited for: nobody's pictures fill the memory."""
    keys = f'{{"ann": "{KEY}"}}'
    enough = threading.Event()

    def never() -> Iterator[bytes]:
        enough.wait(PATIENCE)
        yield from ()

    with EmbeddedBroker() as broker, door_on(broker, tmp_path, gateway_api_keys=keys) as door:
        with Caller(door.running.grpc_port, "TryOn", "Submit") as caller:
            refusal = refused(lambda: caller.stream(never(), timeout=PATIENCE))
            enough.set()
        assert (refusal.code, refusal.status) == ("UNAUTHORIZED", grpc.StatusCode.UNAUTHENTICATED)


@pytest.mark.parametrize("service", ["", "vtryon.v1.TryOn"], ids=["the server", "the service"])
def test_it_is_healthy_once_it_knows_what_kafka_knows(service: str, house: House, client: TryOnClient) -> None:
    client.wait_until_ready(PATIENCE)
    with Caller(house.running.grpc_port, "TryOn", "Get") as caller:
        assert Health(caller.channel, service).is_good()


def test_without_kafka_it_is_not_healthy(tmp_path: Path) -> None:
    config = GatewayConfig(
        kafka_bootstrap_servers=f"localhost:{free_port()}",
        gateway_port=0,
        gateway_grpc_port=0,
        gateway_upload_dir=tmp_path,
    )
    with running_gateway(config) as running, Caller(running.grpc_port, "TryOn", "Get") as caller:
        assert not Health(caller.channel, "").is_good()
        refusal = refused(lambda: caller.answer({"id": "any"}))
        assert (refusal.code, refusal.status) == ("GATEWAY_NOT_READY", grpc.StatusCode.UNAVAILABLE)
        assert refusal.retryable == "true"
