"""Server-sent events, cut anywhere."""

import pytest

from orchestrator import server_sent
from orchestrator.server_sent import ServerSent, parsed

STREAM = (
    ": a comment\n\n"
    "event: status\nid: 1.-1\ndata: {}\n\n"
    "data:no space\ndata: two lines\n\n"
    "event: nothing\n\n"
    "retry: 5\r\nid: 2.3\r\ndata: a\u2028b \u00e9 : c\r\n\r\n"
    "event: status\ndata: not whole"
).encode()
EVENTS = [
    ServerSent("status", "{}", "1.-1"),
    ServerSent("message", "no space\ntwo lines", None),
    ServerSent("message", "a\u2028b \u00e9 : c", "2.3"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_whatever_the_pieces(size: int) -> None:
    assert list(parsed(STREAM[at : at + size] for at in range(0, len(STREAM), size))) == EVENTS


def test_an_event_comes_as_soon_as_it_is_whole() -> None:
    def pieces() -> object:
        yield b"data: first\n\n"
        pytest.fail("there was no need to wait for more")

    assert next(parsed(pieces())).data == "first"  # type: ignore[arg-type]


def test_what_is_no_such_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_sent, "LONGEST_LINE", 10)
    with pytest.raises(ValueError, match="longer than 10 bytes"):
        list(parsed([b"data: 012", b"3456789"]))
    with pytest.raises(ValueError, match="utf-8"):
        list(parsed([b"data: \xff\n\n"]))
