"""The values of tensors as bytes, as they travel: little-endian, row by row; before a text its length."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

TEXT = "BYTES"
FORMATS = {"FP32": "f", "FP64": "d", "INT64": "q", "UINT64": "Q", "BOOL": "?", "UINT8": "B"}
LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Value:
    """What a tensor holds."""

    datatype: str
    """As the protocol calls it: BYTES, FP64 and so on."""
    shape: tuple[int, ...]
    content: bytes

    @classmethod
    def of(cls, datatype: str, *values: Any) -> Self:
        """One with these elements."""
        if datatype == TEXT:
            content = b"".join(_with_length(str(value).encode("utf-8", "replace")) for value in values)
        else:
            content = struct.pack(f"<{len(values)}{FORMATS[datatype]}", *values)
        return cls(datatype, (len(values),), content)

    @classmethod
    def data(cls, content: bytes) -> Self:
        """One with the content of a file."""
        return cls("UINT8", (len(content),), content)

    def texts(self) -> list[str]:
        """Its elements. ValueError if they are no texts."""
        if self.datatype != TEXT:
            raise ValueError(f"{self.datatype} instead of {TEXT}")
        return [element.decode() for element in _elements(self.content)]


def field_value(datatype: str, value: Any) -> Value:
    """Of a field of a contract, which is one element or a list of them."""
    values: Sequence[Any] = value if isinstance(value, list) else [value]
    return Value.of(datatype, *values)


def _with_length(element: bytes) -> bytes:
    return LENGTH.pack(len(element)) + element


def _elements(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        begin = at + LENGTH.size
        if begin > len(content):
            raise ValueError("the length of a text is cut off")
        (length,) = LENGTH.unpack_from(content, at)
        at = begin + length
        if at > len(content):
            raise ValueError("a text is cut off")
        yield content[begin:at]
