"""Values become the bytes that the protocol has for them, and back."""

import pytest

from shared_utils.transports.triton.wire import Value, field_value


@pytest.mark.parametrize(
    ("datatype", "value", "content"),
    [
        ("BYTES", "hü", b"\x03\x00\x00\x00h\xc3\xbc"),
        ("BYTES", "", b"\x00\x00\x00\x00"),
        ("FP64", 1.5, b"\x00\x00\x00\x00\x00\x00\xf8?"),
        ("INT64", -2, b"\xfe\xff\xff\xff\xff\xff\xff\xff"),
        ("UINT64", 2**64 - 1, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("BOOL", True, b"\x01"),
    ],
)
def test_one_element(datatype: str, value: object, content: bytes) -> None:
    assert field_value(datatype, value) == Value(datatype, (1,), content)


def test_a_list() -> None:
    value = field_value("BYTES", ["one", ""])
    assert value.shape == (2,)
    assert value.texts() == ["one", ""]
    assert field_value("INT64", [1, 2]).shape == (2,)
    assert field_value("BYTES", []).texts() == []


def test_the_content_of_a_file() -> None:
    assert Value.data(b"\x89PNG") == Value("UINT8", (4,), b"\x89PNG")


def test_what_is_no_utf_8_can_be_written() -> None:
    """As on the other doors: the stage then says what is wrong with it."""
    assert Value.of("BYTES", "a\ud800").texts() == ["a?"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Value("FP32", (1,), b"\x00\x00\x00\x00"), "FP32 instead of BYTES"),
        (Value("BYTES", (1,), b"\x05\x00\x00\x00cut"), "a text is cut off"),
        (Value("BYTES", (1,), b"\x05\x00"), "the length of a text is cut off"),
        (Value("BYTES", (1,), b"\x01\x00\x00\x00\xff"), "can't decode"),
    ],
)
def test_what_can_not_be_read(value: Value, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        value.texts()
