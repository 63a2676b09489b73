"""A stderr that says it is a terminal."""

import io


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True
