"""How far each file is: bars on a terminal, lines in a log otherwise."""

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Never, Protocol

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from shared_utils.downloads.files import readable

log = logging.getLogger("vtryon.models")

STEP = 10
"""Percent between two lines."""


class Progress(Protocol):
    """Told what happens to a file. Safe to be told from several threads of one event loop."""

    def at(self, doing: str, label: str, done: int, size: int) -> None:
        """So much of it is done."""

    def say(self, text: str) -> None:
        """Something that a person may want to know."""


class Lines:
    """A line for every tenth of a file."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], int] = {}

    def at(self, doing: str, label: str, done: int, size: int) -> None:
        percent = done * 100 // size if size else 100
        tenth = percent // STEP
        if tenth == self._said.get((doing, label)):
            return
        self._said[doing, label] = tenth
        fields = {"file": label, "doing": doing, "done": done, "size": size}
        log.info(
            "%s %s: %d %% (%s of %s)", doing, label, percent, readable(done), readable(size), extra={"fields": fields}
        )

    def say(self, text: str) -> None:
        log.info("%s", text)


class Bars:
    """A bar for each file, as long as it is worked on."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._bars: dict[str, tqdm[Never]] = {}

    def at(self, doing: str, label: str, done: int, size: int) -> None:
        text = f"{doing} {label}"
        bar = self._bars.get(label) or self._new(label, text, size)
        if bar.desc != f"{text}: ":
            bar.set_description(text)
        if done < bar.n:  # it began anew
            bar.reset(total=size)
        bar.update(done - bar.n)
        if done >= size:
            bar.refresh()

    def say(self, text: str) -> None:
        log.info("%s", text)

    def _new(self, label: str, text: str, size: int) -> "tqdm[Never]":
        bar: tqdm[Never] = tqdm(
            desc=text,
            total=size,
            unit="B",
            unit_scale=True,
            file=sys.stderr,
            position=len(self._bars),
            dynamic_ncols=True,
        )
        self._bars[label] = self._stack.enter_context(bar)
        return bar


@contextmanager
def shown_progress(log_format: str) -> Iterator[Progress]:
    """What suits where stderr goes."""
    if log_format == "json" or not sys.stderr.isatty():
        yield Lines()
        return
    with ExitStack() as stack:
        stack.enter_context(logging_redirect_tqdm())
        yield Bars(stack)
