"""Form data, whole and broken, however it is cut into pieces."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.gateway.http.multipart import MOST_TEXT_BYTES, Form, FormReader
from shared_utils.errors import InvalidRequestError

TYPE = "multipart/form-data; boundary=line"


def part(head: str, content: bytes = b"") -> bytes:
    return f"--line\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"


FILE = bytes(range(256)) + b"\r\n--lin" + b"\r\n--other\r\n"
WHOLE = (
    part('name="prompt"', "a coat, größer".encode())
    + part('name="person"; filename="../../p.png"\r\nContent-Type: text/html', FILE)
    + part('name="garment"; filename="a.png"', b"one")
    + part('name="garment"; filename="b.png"', b"")
    + b"--line--\r\n"
)


class Kept:
    """A file in memory."""

    def __init__(self) -> None:
        self.content = b""
        self.given_up = 0

    def write(self, piece: bytes) -> None:
        self.content += piece

    def keep(self) -> str:
        return self.content.decode("latin-1")

    def give_up(self) -> None:
        self.given_up += 1


def reader(files: list[Kept], content_type: str = TYPE, seen: list[str] | None = None) -> FormReader:
    def begin_file(name: str, so_far: Form) -> Kept:
        files.append(Kept())
        return files[-1]

    return FormReader(content_type, begin_file, lambda name, so_far: (seen if seen is not None else []).append(name))


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_however_it_is_cut(cuts: list[int]) -> None:
    files: list[Kept] = []
    reading = reader(files)
    places = sorted({0, *cuts, len(WHOLE)})
    for begin, end in itertools.pairwise(places):
        reading.write(WHOLE[begin:end])
    form = reading.close()
    assert form.texts == {"prompt": "a coat, größer"}
    assert form.files == {"person": [FILE.decode("latin-1")], "garment": ["one", ""]}
    assert [file.given_up for file in files] == [1, 1, 1]


def test_byte_by_byte() -> None:
    reading = reader([])
    for each in WHOLE:
        reading.write(bytes([each]))
    assert len(reading.close().files["garment"]) == 2


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'x' * 1000}", "ключ"],
)
def test_without_a_boundary(content_type: str) -> None:
    with pytest.raises(InvalidRequestError, match="form data"):
        reader([], content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form data",
        b"--other\r\n\r\n",
        WHOLE[:-6],
        WHOLE[:100],
        part('name="a"').replace(b"\r\n", b"\n"),
        b"--line\r\n\r\ncontent\r\n--line--\r\n",
        b"--line\r\nContent-Disposition: form-data\r\n\r\n\r\n--line--\r\n",
        b"--line\r\n: \r\n\r\n\r\n--line--\r\n",
        b"--line\r\n" + b"X: y\r\n" * 100 + b"\r\n\r\n--line--\r\n",
        b"--line\r\nX: " + b"y" * 100_000 + b"\r\n\r\n\r\n--line--\r\n",
        part('name="a"', b"\xff\xfe") + b"--line--\r\n",
        part('name="a"', b"x" * (MOST_TEXT_BYTES + 1)) + b"--line--\r\n",
    ],
)
def test_broken(body: bytes) -> None:
    files: list[Kept] = []
    reading = reader(files)

    def read() -> None:
        reading.write(body)
        reading.close()

    with pytest.raises(InvalidRequestError):
        read()
    reading.give_up()
    assert all(file.given_up for file in files)


def test_what_is_not_wanted_is_refused_before_it_comes() -> None:
    class UnwantedError(Exception):
        pass

    def refuse(name: str, so_far: Form) -> None:
        raise UnwantedError

    reading = FormReader(TYPE, lambda name, so_far: Kept(), refuse)
    with pytest.raises(UnwantedError):
        reading.write(part('name="prompt"')[:-2])


def test_what_lies_behind_the_end_is_not_read() -> None:
    seen: list[str] = []
    reading = reader([], seen=seen)
    reading.write(WHOLE + part('name="more"', b"x"))
    assert reading.close().texts == {"prompt": "a coat, größer"}
    assert seen == ["prompt"]
