"""Try-ons over HTTP: a real gateway and a real engine on a broker in memory, with stages that stand in."""

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.topics import TRYON_REQUESTS
from tests.kafka.support import fresh, until
from tests.orchestrator.gateway.drawn import picture
from tests.orchestrator.gateway.house import PATH, House, gateway_on, house_on, refused


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
def storage(house: House) -> Path:
    return house.orchestra.folder / "storage"


def events_of(house: House, name: str, after: str | None = None) -> list[dict[str, str]]:
    """All until the stream ends."""
    headers = {} if after is None else {"Last-Event-ID": after}
    found: list[dict[str, str]] = [{}]
    with house.http.stream("GET", f"{PATH}/{name}/events", headers=headers) as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line and not line.startswith(":"):
                field, _, value = line.partition(": ")
                found[-1][field] = value
            elif not line and found[-1]:
                found.append({})
    return found[:-1]


def requests_for(house: House, *names: str) -> list[Any]:
    """What was sent for these try-ons."""
    return [each.value for name in names for each in house.orchestra.all(TRYON_REQUESTS, name)]


# ---- one from its beginning to its end


def test_one_uploaded(house: House) -> None:
    files = [("person", ("../p.html", picture(), "text/html")), ("garment", ("g", picture("JPEG"), "image/png"))]
    answer = house.http.post(PATH, files=files, data={"seed": str(2**64 - 1), "steps": "2", "negative_prompt": ""})
    assert answer.status_code == 202, answer.text
    (shown,) = answer.json()["try_ons"]
    assert answer.headers["location"] == f"{PATH}/{shown['id']}"
    assert (shown["seed_text"], shown["image_url"], len(shown["steps"])) == (str(2**64 - 1), None, 4)

    ended = house.wait(shown["id"], "succeeded", "failed")
    assert ended["state"] == "succeeded", ended["problem"]
    assert ended["image_url"] == f"{PATH}/{shown['id']}/image"
    assert [step["state"] for step in ended["steps"]] == ["done"] * 4
    (request,) = requests_for(house, shown["id"])
    assert {Path(request[name]).parent for name in ("person_image_path", "garment_image_path")} == {
        house.running.gateway.uploads.folder
    }
    assert request["garment_image_path"].endswith(".jpg")
    assert "negative_prompt" not in request


def test_its_picture(house: House) -> None:
    name = house.submit()["id"]
    house.wait(name, "succeeded")
    answer = house.http.get(f"{PATH}/{name}/image", headers={"Range": "bytes=0-3"})
    assert (answer.status_code, answer.content) == (200, picture())
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"].startswith("private")
    assert "content-disposition" not in answer.headers
    kept = house.http.get(f"{PATH}/{name}/image", params={"download": "true"})
    assert kept.headers["content-disposition"] == f'attachment; filename="tryon_{name}.png"'

    Path(house.get(name)["image_path"]).write_bytes(b"<script>no picture</script>")
    refused(house.http.get(f"{PATH}/{name}/image"), 410, "IMAGE_GONE")
    Path(house.get(name)["image_path"]).unlink()
    refused(house.http.get(f"{PATH}/{name}/image"), 410, "IMAGE_GONE")


def test_its_events(house: House) -> None:
    name = house.submit()["id"]
    events = events_of(house, name)
    last = json.loads(events[-1]["data"])
    assert (events[-1]["event"], last["state"], last["id"]) == ("status", "succeeded", name)
    assert {event["event"] for event in events} == {"status", "progress"}
    numbered = [event for event in events if "id" in event]
    middle = numbered[len(numbered) // 2]
    assert events_of(house, name, middle["id"]) == numbered[len(numbered) // 2 + 1 :]
    done = house.http.get(f"{PATH}/{name}/events", headers={"Last-Event-ID": events[-1]["id"]})
    assert (done.status_code, done.content) == (204, b"")


def test_one_that_fails_says_why(house: House) -> None:
    house.orchestra.stages["sampling"].fail()
    ended = house.wait(house.submit()["id"], "failed")
    assert ended["problem"] == {"code": "PUPPET_BROKEN", "message": "for good", "step": "sampling", "retryable": False}
    refused(house.http.get(f"{PATH}/{ended['id']}/image"), 409, "TRYON_NOT_SUCCEEDED")


# ---- asking


def test_paths_and_many_garments(held: House, storage: Path) -> None:
    garments = [str(storage / name) for name in ("shirt.png", "coat.png")]
    fields = {"person_image_path": str(storage / "person.png"), "garment_image_paths": garments, "seed": None}
    answer = held.http.post(PATH, json=fields)
    assert answer.status_code == 202, answer.text
    names = [shown["id"] for shown in answer.json()["try_ons"]]
    assert [request["garment_image_path"] for request in requests_for(held, *names)] == garments


def test_many_garments_uploaded(held: House) -> None:
    files = [("person", picture()), *[("garment", picture(colour=each)) for each in ("red", "green", "blue")]]
    answer = held.http.post(PATH, files=files)
    assert len({shown["id"] for shown in answer.json()["try_ons"]}) == 3


def test_a_mask(held: House) -> None:
    files = {"person": picture(), "garment": picture(), "mask": picture(colour="white")}
    (shown,) = held.http.post(PATH, files=files).json()["try_ons"]
    (request,) = requests_for(held, shown["id"])
    assert Path(request["mask_image_path"]).read_bytes() == picture(colour="white")


def test_sent_again_with_its_key_it_is_done_once(held: House, storage: Path) -> None:
    paths = {name: str(storage / "person.png") for name in ("person_image_path", "garment_image_path")}
    key = {"Idempotency-Key": fresh()}
    first = held.http.post(PATH, json=paths, headers=key)
    again = held.http.post(PATH, json=paths, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    (name,) = {answer.json()["try_ons"][0]["id"] for answer in (first, again)}
    assert len(requests_for(held, name)) == 1
    refused(held.http.post(PATH, json=paths | {"seed": 7}, headers=key), 409, "IDEMPOTENCY_KEY_REUSED")
    with gateway_on(held.orchestra, storage_roots=[storage]) as other:
        until(lambda: other.get(name).get("id"), "the other gateway has heard of it")
        elsewhere = other.http.post(PATH, json=paths, headers=key)
        assert (elsewhere.status_code, elsewhere.json()["try_ons"][0]["id"]) == (202, name)
        refused(other.http.post(PATH, json=paths | {"seed": 7}, headers=key), 409, "IDEMPOTENCY_KEY_REUSED")
    assert len(requests_for(held, name)) == 1


def test_sent_many_times_at_once_with_one_key(held: House, storage: Path) -> None:
    paths = {name: str(storage / "person.png") for name in ("person_image_path", "garment_image_path")}
    key = {"Idempotency-Key": fresh()}

    def ask(seed: int) -> httpx.Response:
        return held.http.post(PATH, json=paths | {"seed": seed % 2}, headers=key)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(16)))
    assert {answer.status_code for answer in answers} == {202, 409}
    (name,) = {answer.json()["try_ons"][0]["id"] for answer in answers if answer.status_code == 202}
    assert len({request["seed"] for request in requests_for(held, name)}) == 1


# ---- stopping


def test_cancel(held: House) -> None:
    name = held.submit()["id"]
    held.wait(name, "running")
    asked = held.http.delete(f"{PATH}/{name}")
    assert asked.status_code == 202, asked.text
    assert held.wait(name, "cancelled")["problem"]["code"] == "CANCELLED"
    again = held.http.delete(f"{PATH}/{name}")
    assert (again.status_code, again.json()["state"]) == (200, "cancelled")


def test_what_has_ended_is_not_cancelled(house: House) -> None:
    name = house.submit()["id"]
    house.wait(name, "succeeded")
    refused(house.http.delete(f"{PATH}/{name}"), 409, "TRYON_ENDED")


def test_what_is_not_there_is_unknown(house: House) -> None:
    for method, path in (("GET", ""), ("GET", "/events"), ("GET", "/image"), ("DELETE", "")):
        refused(house.http.request(method, f"{PATH}/{fresh()}{path}"), 404, "TRYON_UNKNOWN")


# ---- looking


def test_pages(house: House) -> None:
    names = [house.submit()["id"] for _ in range(5)]
    for name in names:
        house.wait(name, "succeeded")
    found: list[str] = []
    cursor: dict[str, str] = {}
    while len(found) < 5:
        page = house.http.get(PATH, params={"limit": "2", "state": "succeeded"} | cursor).json()
        assert len(page["try_ons"]) == 2
        found += [shown["id"] for shown in page["try_ons"]]
        cursor = {"cursor": page["next"]}
    assert found[:5] == names[::-1]
    assert house.http.get(PATH, params={"state": "refused"}).json() == {"try_ons": [], "next": None}
    whole = house.http.get(PATH, params={"limit": 200}).json()
    assert (whole["next"], whole["try_ons"][0]["id"]) == (None, names[-1])


def test_info(house: House) -> None:
    found = house.http.get("/v1/info").json()
    assert found["limits"] == {"max_upload_mb": 32, "max_image_megapixels": 100, "max_garments": 100}
    assert found["defaults"]["steps"] == 4
    assert "person_image_path" not in found["defaults"]
    assert found["choices"]["output_format"] == ["png", "jpg", "webp"]
    assert found["api_key_needed"] is False


def test_the_page_comes_with_what_keeps_it_safe(house: House) -> None:
    page = house.http.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    script = house.http.get("/page/api.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"


def test_health_and_metrics(held: House) -> None:
    assert held.http.get("/health/live").json() == {"status": "live"}
    assert held.http.get("/health/ready").json() == {"status": "ready"}
    name = held.submit()["id"]
    held.wait(name, "running")
    with held.http.stream("GET", f"{PATH}/{name}/events") as stream:
        lines_of_stream = stream.iter_lines()
        next(lines_of_stream)
        shown = httpx.get(f"{held.http.base_url}/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in shown.splitlines() if not line.startswith("#"))
    assert float(lines["vtryon_gateway_open_streams"]) == 1
    assert float(lines['vtryon_gateway_tryons{state="running"}']) >= 1
    assert float(lines['vtryon_gateway_requests_total{method="POST",route="/v1/try-ons",status="202"}']) >= 1
    assert float(lines['vtryon_gateway_request_seconds_count{method="GET",route="/v1/try-ons/{id}"}']) >= 1
    assert {"vtryon_gateway_waiting", "vtryon_gateway_view_lag", "vtryon_gateway_ready"} <= lines.keys()


def test_the_log_has_a_line_for_each_call(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "vtryon.gateway")
    house.http.get(f"{PATH}/x%0a12:00:00 ERROR made up")
    house.http.get("/health/live")
    (line,) = [each.getMessage() for each in caplog.records if each.name == "vtryon.gateway"]
    assert re.fullmatch(r"GET /v1/try-ons/x%0a12:00:00%20ERROR%20made%20up 404 [\d.]+ ms", line, re.IGNORECASE)


def test_a_path_that_is_not_served(house: House) -> None:
    refused(house.http.get("/v1/tryons"), 404, "PATH_UNKNOWN")
    refused(house.http.get("/docs"), 404, "PATH_UNKNOWN")


def test_a_method_that_is_not_served(house: House) -> None:
    answer = house.http.put(f"{PATH}/x")
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "DELETE, GET"


# ---- gateways with other settings, on the same engine


def test_keys(held: House) -> None:
    keys = json.dumps({"ann": "ann-key", "bob": "bob-key"})
    with gateway_on(held.orchestra, gateway_api_keys=keys) as guarded:
        for path in (PATH, f"{PATH}/x", f"{PATH}/x/events", f"{PATH}/x/image"):
            answer = guarded.http.get(path)
            refused(answer, 401, "UNAUTHORIZED")
            assert answer.headers["www-authenticate"] == "Bearer"
        refused(guarded.http.post(PATH, json={}, headers={"Authorization": "Bearer other"}), 401, "UNAUTHORIZED")
        refused(guarded.http.delete(f"{PATH}/x", headers={"Authorization": "Basic ann-key"}), 401, "UNAUTHORIZED")
        assert guarded.http.get("/v1/info").json()["api_key_needed"] is True
        assert guarded.http.get("/").status_code == 200
        assert "securitySchemes" in guarded.http.get("/openapi.json").json()["components"]

        files = {"person": picture(), "garment": picture()}
        names = {
            guarded.http.post(
                PATH, files=files, headers={"Authorization": f"bearer {key}", "Idempotency-Key": "one"}
            ).json()["try_ons"][0]["id"]
            for key in ("ann-key", "bob-key")
        }
        assert len(names) == 2


def test_rate(held: House) -> None:
    with gateway_on(held.orchestra, gateway_rate_per_minute=2) as slow:
        slow.submit()
        slow.submit()
        answer = slow.http.post(PATH, json={})
        refused(answer, 429, "RATE_LIMITED")
        assert 0 < int(answer.headers["retry-after"]) <= 30
        assert slow.http.get(PATH).status_code == 200


def test_no_more_than_may_wait(house: House) -> None:
    with gateway_on(house.orchestra, gateway_max_waiting=2) as narrow:
        files = [("person", picture()), *[("garment", picture(colour=each)) for each in ("red", "green", "blue")]]
        answer = narrow.http.post(PATH, files=files)
        refused(answer, 429, "TOO_MANY_WAITING")
        assert int(answer.headers["retry-after"]) > 0
        narrow.submit()


def test_cors_only_where_it_was_set(house: House) -> None:
    friend, stranger = "https://friend.example", "https://stranger.example"
    preflight = {"Origin": friend, "Access-Control-Request-Method": "POST"}
    refused(house.http.options(PATH, headers=preflight), 405, "METHOD_NOT_ALLOWED")
    refused(house.http.post(PATH, json={}, headers={"Origin": friend}), 403, "ORIGIN_NOT_ALLOWED")
    refused(house.http.delete(f"{PATH}/x", headers={"Sec-Fetch-Site": "cross-site"}), 403, "ORIGIN_NOT_ALLOWED")
    assert "access-control-allow-origin" not in house.http.get(PATH, headers={"Origin": friend}).headers
    with gateway_on(house.orchestra, gateway_cors_origins=[friend]) as open_to_friends:
        allowed = open_to_friends.http.options(PATH, headers=preflight)
        assert allowed.headers["access-control-allow-origin"] == friend
        refused(open_to_friends.http.post(PATH, json={}, headers={"Origin": friend}), 422, "INVALID_REQUEST")
        refused(open_to_friends.http.post(PATH, json={}, headers={"Origin": stranger}), 403, "ORIGIN_NOT_ALLOWED")
        told = open_to_friends.http.get(f"{PATH}/unknown", headers={"Origin": friend})
        assert told.headers["access-control-allow-origin"] == friend
        assert "location" in told.headers["access-control-expose-headers"].lower()


def test_streams_end_with_the_gateway(held: House) -> None:
    name = held.submit()["id"]
    held.wait(name, "running")
    begun, ended = threading.Event(), threading.Event()
    with gateway_on(held.orchestra) as other:
        until(lambda: other.get(name).get("state") == "running", "the other gateway has heard of it")

        def listen() -> None:
            with httpx.stream("GET", f"{other.http.base_url}{PATH}/{name}/events", timeout=60) as stream:
                for _ in stream.iter_lines():
                    begun.set()
            ended.set()

        thread = threading.Thread(target=listen)
        thread.start()
        assert begun.wait(30)
    assert ended.wait(30)
    thread.join()
