"""Progress for whoever looks: a bar on a terminal, lines elsewhere."""

import io
import logging

import pytest

from shared_utils.comfy.progress import Step
from shared_utils.settings import Settings
from shared_utils.telemetry.logs import start_logging
from shared_utils.transports.cli.bar import watcher_for

STEPS = (Step("UNETLoader"), Step("KSampler"), Step("KSampler", 1, 4), Step("KSampler", 4, 4))


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(logging, "captureWarnings", lambda capture: None)


def test_a_bar_on_a_terminal_with_log_lines_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    start_logging("INFO", "text")
    with watcher_for(Settings()) as watch:
        for step in STEPS:
            watch(step)
        logging.getLogger("vtryon.test").info("a line")
    shown = terminal.getvalue()
    assert "KSampler 4/4" in shown
    assert "█" in shown
    (line,) = [part for part in shown.replace("\n", "\r").split("\r") if "a line" in part]
    assert "█" not in line
    assert "KSampler" not in line


@pytest.mark.parametrize("terminal", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_json_lines_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch, terminal: io.StringIO) -> None:
    monkeypatch.setattr("sys.stderr", terminal)
    start_logging("INFO", "json")
    with watcher_for(Settings(log_format="json")) as watch:
        for step in STEPS:
            watch(step)
    lines = terminal.getvalue().splitlines()
    assert len(lines) == len(STEPS)
    assert '"node": "KSampler", "done": 4, "total": 4' in lines[-1]


def test_lines_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr("sys.stderr", file)
    start_logging("INFO", "text")
    with watcher_for(Settings()) as watch:
        watch(STEPS[2])
    assert file.getvalue().endswith("KSampler 1/4\n")
