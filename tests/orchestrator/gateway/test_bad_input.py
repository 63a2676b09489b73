"""Hostile and broken calls at the gateway's door: each gets the right problem, in time, and leaves nothing behind."""

import json
import select
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from shared_utils.transports.kafka.embedded import EmbeddedBroker
from tests.kafka.support import until
from tests.orchestrator.gateway.drawn import picture
from tests.orchestrator.gateway.house import PATH, SECRET, House, door_on, gateway_on, refused

PATIENCE = 30.0
BOUNDARY = "multipart/form-data; boundary=line"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("door")
    with EmbeddedBroker() as broker, door_on(broker, folder, max_image_megapixels=1, webhook_secret=SECRET) as made:
        yield made
        assert unfinished(made) == []


def unfinished(house: House) -> list[Path]:
    return list(house.running.gateway.uploads.folder.glob(".*"))


def part(head: str, content: bytes = b"") -> bytes:
    return f"--line\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"


class Line:
    """A connection of which every byte is the test's own."""

    def __init__(self, house: House) -> None:
        self._socket = socket.create_connection(("127.0.0.1", house.running.http_port), PATIENCE)
        self.sent = 0

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def send(self, content: bytes) -> None:
        self._socket.sendall(content)

    def send_until_answered(self, piece: bytes, most: int) -> None:
        """Again and again, but not more than so many bytes."""
        while self.sent < most and not select.select([self._socket], [], [], 0)[0]:
            if select.select([], [self._socket], [], PATIENCE)[1]:
                self.sent += self._socket.send(piece)

    def answer(self) -> tuple[int, str]:
        """Its status, and the problem's code."""
        received = b""
        while piece := self._socket.recv(65536):
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        assert b"connection: close" in head.lower()
        return int(head.split()[1]), json.loads(body)["code"] if body else ""


def head(*headers: str) -> bytes:
    return "\r\n".join([f"POST {PATH} HTTP/1.1", "host: gateway", *headers, "", ""]).encode()


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


FORM = head(f"content-type: {BOUNDARY}", "transfer-encoding: chunked")


# ---- too much, too slow


def test_an_upload_that_says_it_is_too_large_is_refused_before_it_comes(house: House) -> None:
    with Line(house) as line:
        line.send(head(f"content-type: {BOUNDARY}", "content-length: 10000000000"))
        assert line.answer() == (413, "REQUEST_TOO_LARGE")


def test_an_upload_that_grows_too_large_is_cut_off(house: House) -> None:
    with gateway_on(house.orchestra, gateway_max_upload_mb=0.1) as narrow, Line(narrow) as line:
        line.send(FORM + chunk(part('name="person"; filename="p.png"')[:-2]))
        line.send_until_answered(chunk(bytes(65536)), most=500_000_000)
        assert line.sent < 100_000_000
        assert line.answer() == (413, "REQUEST_TOO_LARGE")
        assert unfinished(narrow) == []


def test_json_that_grows_too_large_is_cut_off(house: House) -> None:
    with Line(house) as line:
        line.send(head("content-type: application/json", "transfer-encoding: chunked"))
        line.send_until_answered(chunk(b" " * 65536), most=500_000_000)
        assert line.sent < 100_000_000
        assert line.answer() == (413, "REQUEST_TOO_LARGE")


def test_an_upload_that_dawdles_is_given_up(house: House) -> None:
    with gateway_on(house.orchestra, gateway_upload_seconds=0.2) as hasty, Line(hasty) as line:
        line.send(FORM + chunk(part('name="person"; filename="p.png"')[:-2] + picture()[:20]))
        assert line.answer() == (408, "REQUEST_TOO_SLOW")
        assert unfinished(hasty) == []


def test_an_upload_that_is_broken_off_leaves_nothing(house: House) -> None:
    with Line(house) as line:
        line.send(FORM + chunk(part('name="person"; filename="p.png"')[:-2] + picture()[:20]))
        until(lambda: unfinished(house), "it is being written")
    until(lambda: not unfinished(house), "it is gone")


def test_ten_thousand_garments_are_refused_before_they_have_come(house: House) -> None:
    garment = part('name="garment"; filename="g.png"', picture() + bytes(100_000))
    with Line(house) as line:
        line.send(FORM + chunk(part('name="person"; filename="p.png"', picture())))
        line.send_until_answered(chunk(garment), most=10_000 * len(garment))
        assert line.sent < 1000 * len(garment)
        assert line.answer() == (422, "INVALID_REQUEST")


def test_ten_thousand_garments_by_their_paths(house: House) -> None:
    fields = {"person_image_path": "/p.png", "garment_image_paths": ["/g.png"] * 10_000}
    answer = house.http.post(PATH, json=fields)
    refused(answer, 422, "INVALID_REQUEST")
    assert "GATEWAY_MAX_GARMENTS" in answer.json()["detail"]


@pytest.mark.parametrize("piece", [b"x: y\r\n" * 1000, b"y" * 1000])
def test_a_head_that_does_not_end(house: House, piece: bytes) -> None:
    with Line(house) as line:
        line.send(head()[:-2] + b"x: ")
        with suppress(ConnectionError):
            line.send_until_answered(piece, most=100_000_000)
        assert line.sent < 10_000_000


# ---- not what it should be


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"{'a': 1}",
        b'{"seed": NaN}',
        b'{"seed": Infinity}',
        b'{"seed": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe",
        b'{"\\ud800": 1}',
        b'{"prompt": "\\ud800"}',
        b'{"person_image_path": "/p.png"}',
        b'{"garment_image_path": 1}',
        b'{"garment_image_path": {}}',
        b'{"garment_image_paths": "/g.png"}',
        b'{"garment_image_paths": []}',
        b'{"garment_image_paths": [null]}',
        b'{"garment_image_paths": [[]]}',
        b'{"garment_image_path": "/g.png", "garment_image_paths": ["/g.png"]}',
        b'{"person_image_path": ["/p.png"], "garment_image_path": "/g.png"}',
    ],
)
def test_json_of_the_wrong_kind(house: House, body: bytes) -> None:
    refused(house.http.post(PATH, content=body, headers={"Content-Type": "application/json"}), 422, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 3},
        {"correlation_id": "mine"},
        {"person": "/p.png"},
        {"garment_image_path ": "/g.png"},
        {"__class__": 1},
    ],
)
def test_unknown_fields_are_named(house: House, fields: dict[str, Any]) -> None:
    (name,) = fields
    paths = {"person_image_path": "/p.png", "garment_image_path": "/g.png"}
    answer = house.http.post(PATH, json=paths | fields)
    refused(answer, 422, "INVALID_REQUEST")
    assert name in answer.json()["detail"]
    form = house.http.post(PATH, files={"person": picture(), "garment": picture()}, data={name: "x"})
    refused(form, 422, "INVALID_REQUEST")
    assert name in form.json()["detail"]


Files = Sequence[tuple[str, Any]]


@pytest.mark.parametrize(
    "files",
    [
        [("person", picture())],
        [("garment", picture())],
        [("person", picture()), ("person", picture()), ("garment", picture())],
        [("person", picture()), ("garment", picture()), ("shoes", picture())],
        [("person", picture()), ("garment", picture()), ("prompt", picture())],
    ],
)
def test_form_data_with_the_wrong_pictures(house: House, files: Files) -> None:
    refused(house.http.post(PATH, files=files), 422, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form data at all",
        part('name="person"; filename="p.png"', picture()),
        part('name="person"; filename="p.png"', picture()) + b"--line--",
        b"--line\r\n\r\n" + picture() + b"\r\n--line--\r\n",
        part('name="steps"', b"4") + part('name="steps"', b"5") + b"--line--\r\n",
        part('name="prompt"', b"\xff") + b"--line--\r\n",
        part('name="prompt"', b"x" * 100_000) + b"--line--\r\n",
        part('filename="p.png"', picture()) + b"--line--\r\n",
        b"--line\r\n" + b"X: y\r\n" * 1000 + b"\r\n--line--\r\n",
        b"--line\r\nX: " + b"y" * 100_000,
    ],
)
def test_broken_form_data(house: House, body: bytes) -> None:
    refused(house.http.post(PATH, content=body, headers={"Content-Type": BOUNDARY}), 422, "INVALID_REQUEST")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "image/png", "json", "ключ"])
def test_bodies_of_another_type(house: House, kind: str) -> None:
    answer = house.http.post(PATH, content=b"{}", headers=[(b"content-type", kind.encode())])
    refused(answer, 415, "MEDIA_TYPE_UNKNOWN")


def test_types_that_lie(house: House) -> None:
    refused(house.http.post(PATH, content=b"{}", headers={"Content-Type": BOUNDARY}), 422, "INVALID_REQUEST")
    form = part('name="person"; filename="p.png"', picture()) + b"--line--\r\n"
    as_json = house.http.post(PATH, content=form, headers={"Content-Type": "application/json"})
    refused(as_json, 422, "INVALID_REQUEST")
    script = ("p.png", b"<script>alert(1)</script>", "image/png")
    refused(house.http.post(PATH, files={"person": script, "garment": picture()}), 422, "IMAGE_INVALID")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a" + bytes(100),
        picture()[:30],
        picture(size=(1001, 1000)),
        picture("JPEG", size=(1001, 1000)),
        picture("WEBP", size=(1001, 1000)),
        picture(save_all=True, append_images=[Image.new("RGB", (8, 6), "red")]),
        picture("WEBP", save_all=True, append_images=[Image.new("RGB", (8, 6), "red")]),
    ],
)
@pytest.mark.parametrize("name", ["person", "garment", "mask"])
def test_pictures_that_are_none_or_too_large_or_move(house: House, name: str, content: bytes) -> None:
    files = {"person": picture(), "garment": picture(), "mask": picture()} | {name: content}
    answer = house.http.post(PATH, files=files)
    refused(answer, 422, "IMAGE_INVALID")
    assert name in answer.json()["detail"]


# ---- out of where it may be


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "..\\..\\p.png", "a\x00b.png", "p.png/..", ""])
def test_names_of_files_lead_nowhere(house: House, name: str) -> None:
    quoted = name.replace("\\", "\\\\")
    form = part(f'name="person"; filename="{quoted}"', picture()) + part('name="garment"; filename="g"', picture())
    answer = house.http.post(PATH, content=form + b"--line--\r\n", headers={"Content-Type": BOUNDARY})
    assert answer.status_code == 202, answer.text
    assert len({file.suffix for file in house.running.gateway.uploads.folder.iterdir()}) == 1


@pytest.mark.parametrize("path", ["/etc/passwd", "../p.png", "file:///etc/passwd", "/proc/self/environ", "\\\\host\\p"])
@pytest.mark.parametrize("name", ["person_image_path", "garment_image_path", "mask_image_path", "output_dir"])
def test_paths_lead_nowhere(house: House, name: str, path: str) -> None:
    stored = house.running.gateway.uploads.store(picture())
    paths = {"person_image_path": stored, "garment_image_path": stored} | {name: path}
    refused(house.http.post(PATH, json=paths), 403, "PATH_NOT_ALLOWED")


@pytest.mark.parametrize("name", ["../a.png", "/tmp/a.png", "..", "a/../../b.png"])  # noqa: S108
def test_names_of_results_lead_nowhere(house: House, name: str) -> None:
    files = {"person": picture(), "garment": picture()}
    refused(house.http.post(PATH, files=files, data={"output_filename": name}), 403, "PATH_NOT_ALLOWED")


@pytest.mark.parametrize(
    "path",
    [
        "..%2f..%2fcore.py",
        "../core.py",
        "%2e%2e/core.py",
        "..%5ccore.py",
        "%00",
        "index.html%00.js",
        "a/b",
        "",
        "x" * 5000,
    ],
)
def test_files_of_the_page_lead_nowhere(house: House, path: str) -> None:
    with Line(house) as line:
        line.send(f"GET /page/{path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n".encode())
        assert line.answer() == (404, "PATH_UNKNOWN")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://169.254.169.254:80/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://user@169.254.169.254/",
        "http://100.100.100.200/",
        "http://127.0.0.1:9092/",
        "http://localhost/",
        "http://[::1]/",
        "http://10.0.0.1/",
        "http://0.0.0.0/",
    ],
)
def test_callbacks_to_where_only_this_machine_can_go(house: House, url: str) -> None:
    files = {"person": picture(), "garment": picture()}
    refused(house.http.post(PATH, files=files, data={"callback_url": url}), 422, "CALLBACK_NOT_ALLOWED")


@pytest.mark.parametrize("url", ["ftp://example.org/", "file:///etc/passwd", "example.org", "http://", "http://a b/"])
def test_callbacks_that_are_no_address(house: House, url: str) -> None:
    files = {"person": picture(), "garment": picture()}
    answer = house.http.post(PATH, files=files, data={"callback_url": url})
    assert answer.status_code == 422
    assert answer.json()["code"] in ("INVALID_REQUEST", "CALLBACK_NOT_ALLOWED")


# ---- names that are none


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"\xff", b"a\tb", "größer".encode()])
def test_bad_idempotency_keys(house: House, key: bytes) -> None:
    answer = house.http.post(
        PATH, files={"person": picture(), "garment": picture()}, headers=[(b"idempotency-key", key)]
    )
    refused(answer, 422, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "name",
    ["x" * 5000, "%00", "..", "%2e%2e%2f", "a%0d%0ax-evil:1", "%ff", "%f0%9f%91%95", "'%20OR%201=1;--", "*"],
)
@pytest.mark.parametrize("path", ["", "/events", "/image"])
def test_bad_ids(house: House, name: str, path: str) -> None:
    with Line(house) as line:
        line.send(f"GET {PATH}/{name}{path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n".encode())
        status, code = line.answer()
    assert (status, code) in ((404, "TRYON_UNKNOWN"), (404, "PATH_UNKNOWN"), (400, ""))


@pytest.mark.parametrize(
    "query", ["cursor=x", "cursor=", "cursor=-1", "cursor=%00", "cursor=9", f"cursor={'9' * 2000}"]
)
def test_bad_cursors(house: House, query: str) -> None:
    refused(house.http.get(f"{PATH}?{query}"), 422, "INVALID_REQUEST")


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "limit=", "limit=1e1", "state=x", "state="])
def test_bad_queries(house: House, query: str) -> None:
    refused(house.http.get(f"{PATH}?{query}"), 422, "INVALID_REQUEST")


@pytest.mark.parametrize("place", [b"x", b"1", b"1.", b"-2.0", b"1.1.1", b"\xff", b"9" * 50 + b".0", b"0x1.0"])
def test_bad_places_in_a_stream(house: House, place: bytes) -> None:
    name = house.submit()["id"]
    answer = house.http.get(f"{PATH}/{name}/events", headers=[(b"last-event-id", place)])
    refused(answer, 422, "INVALID_REQUEST")


# ---- when the gateway is in trouble itself


def test_a_defect_tells_nothing_of_its_inside(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> bytes:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(house.running.gateway.view, "body", broken)
    answer = house.http.get(f"{PATH}/x")
    refused(answer, 500, "INTERNAL_ERROR")
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_without_kafka(tmp_path: Path) -> None:
    with EmbeddedBroker() as broker:
        impatient = {"fetch.wait.max.ms": 5, "message.timeout.ms": 300}
        with door_on(broker, tmp_path, kafka_properties=impatient) as house:
            broker.close()
            answer = house.http.post(PATH, files={"person": picture(), "garment": picture()})
            refused(answer, 503, "KAFKA_UNAVAILABLE")
            assert int(answer.headers["retry-after"]) > 0
            assert house.http.get("/health/live").status_code == 200


def test_before_it_knows_what_kafka_knows(house: House) -> None:
    ready = house.running.gateway.follower.ready
    ready.clear()
    try:
        for method, path in (("GET", "/health/ready"), ("GET", f"{PATH}/x"), ("GET", PATH), ("POST", PATH)):
            answer: httpx.Response = house.http.request(method, path)
            refused(answer, 503, "GATEWAY_NOT_READY")
            assert int(answer.headers["retry-after"]) > 0
    finally:
        ready.set()
