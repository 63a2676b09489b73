"""Form data with pictures, taken in piece by piece: what comes is on the disk or thrown away before the next one.

Each part is looked at when its head has come, so what is not wanted is refused before it is sent.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from shared_utils.errors import InvalidRequestError

MOST_TEXT_BYTES = 64 * 1024
"""Of a field that is no file: a prompt of 8,192 characters fits, whatever they are."""


class Incoming(Protocol):
    """A file while it comes."""

    def write(self, piece: bytes) -> None: ...

    def keep(self) -> str: ...

    def give_up(self) -> None: ...


@dataclass
class Form:
    """What has come."""

    texts: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)
    """Where the files of each name were kept."""


class FormReader:
    """Give it the body piece by piece, then `close`. Raises what `begin_file` and `check_text` raise, and
    InvalidRequestError."""

    def __init__(
        self,
        content_type: str,
        begin_file: Callable[[str, Form], Incoming],
        check_text: Callable[[str, Form], None],
    ) -> None:
        self.form = Form()
        self._begin_file = begin_file
        self._check_text = check_text
        self._name = ""
        self._file: Incoming | None = None
        self._text = bytearray()
        self._head: list[tuple[bytes, bytes]] = []
        self._header_name = self._header_value = b""
        self._ended = False
        self._parser = self._made_parser(content_type)

    def write(self, piece: bytes) -> None:
        try:
            self._parser.write(piece)
        except FormParserError as wrong:
            raise _broken(str(wrong)) from None

    def close(self) -> Form:
        """All of it."""
        if not self._ended:
            raise _broken("it ends before its last boundary")
        return self.form

    def give_up(self) -> None:
        """Leave nothing behind of a file that had not come to its end."""
        if self._file is not None:
            self._file.give_up()

    def _made_parser(self, content_type: str) -> MultipartParser:
        boundary = _parameters(content_type.encode("latin-1", "replace")).get("boundary")
        if not boundary:
            raise _broken("its Content-Type names no boundary")
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except (FormParserError, ValueError) as wrong:
            raise _broken(str(wrong)) from None

    # ---- called by the parser

    def _on_part_begin(self) -> None:
        self._head = []
        self._text.clear()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._head.append((self._header_name.lower(), self._header_value))
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        named = _parameters(dict(self._head).get(b"content-disposition", b""))
        if "name" not in named:
            raise _broken("a part has no name")
        self._name = named["name"]
        if "filename" in named:
            self._file = self._begin_file(self._name, self.form)
        else:
            self._check_text(self._name, self.form)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > MOST_TEXT_BYTES:
            raise InvalidRequestError(f"{self._name} is longer than {MOST_TEXT_BYTES} bytes.")

    def _on_part_end(self) -> None:
        if self._file is not None:
            file = self._file
            try:
                self.form.files.setdefault(self._name, []).append(file.keep())
            finally:
                self._file = None
                file.give_up()
            return
        try:
            self.form.texts[self._name] = self._text.decode()
        except UnicodeDecodeError:
            raise InvalidRequestError(f"{self._name} is no UTF-8 text.") from None

    def _on_end(self) -> None:
        self._ended = True


def _parameters(header: bytes) -> dict[str, str]:
    """name="a" and the like, behind the first part of a header."""
    _, found = parse_options_header(header)
    return {name.decode("latin-1"): value.decode("utf-8", "replace") for name, value in found.items()}


def _broken(reason: str) -> InvalidRequestError:
    return InvalidRequestError(f"The form data can't be read: {reason}.")
