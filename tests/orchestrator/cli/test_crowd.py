"""How many try-ons look together."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli import crowd
from orchestrator.cli.crowd import CrowdLines, counted
from orchestrator.cli.drawing import watch
from orchestrator.cli.followed import Followed, followed
from tests.orchestrator.cli.orchestrating import answer, failed, succeeded, tryon
from tests.orchestrator.cli.terminal import Terminal


@pytest.fixture
def many() -> list[Followed]:
    return [followed(f"try-{number}", "request", Path(f"garment-{number}.png")) for number in range(20)]


def begin(*tryons: Followed) -> None:
    for each in tryons:
        each.hear(tryon(each.name))


def end(*tryons: Followed) -> None:
    for each in tryons:
        each.hear(answer(succeeded(each.name)))


def test_lines_when_one_begins_and_when_one_ends(many: list[Followed], capsys: pytest.CaptureFixture[str]) -> None:
    lines = CrowdLines()
    lines.show(many)
    begin(many[0])
    lines.show(many)
    many[1].hear(answer(failed("try-1")))
    lines.show(many)
    end(many[0])
    lines.show(many)
    lines.show(many)
    assert [line.split() for line in capsys.readouterr().err.splitlines()] == [
        ["garment-0.png", "begun"],
        ["garment-1.png", "begun"],
        ["garment-1.png", "failed", "UNET_MODEL_NOT_FOUND", "(1", "of", "20)"],
        ["garment-0.png", "succeeded", "14.0", "s", "(2", "of", "20)"],
    ]


def test_counted(many: list[Followed]) -> None:
    begin(*many[:3])
    end(many[0])
    many[1].hear(answer(failed("try-1")))
    assert counted(many) == "1 at work, 1 failed, 1 succeeded, 17 waiting; 20 in all"


@pytest.mark.parametrize(("rows", "bars"), [(40, crowd.MOST_BARS), (7, 4), (1, 1)])
def test_no_more_bars_than_there_is_room_for(
    many: list[Followed], rows: int, bars: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((120, rows)))
    drawn: list[str] = []

    def moments() -> Iterator[None]:
        begin(*many[:12])
        drawn.append(_since(terminal))
        yield
        drawn.append(_since(terminal))
        end(many[0])
        yield
        drawn.append(_since(terminal))
        end(*many)
        yield
        drawn.append(_since(terminal))

    watch(many, moments())
    waiting, at_work, one_ended, all_ended = drawn
    assert "20 waiting; 20 in all" in waiting
    assert "garment-" not in waiting
    shown = [number for number in range(20) if f"garment-{number}.png" in at_work]
    assert shown == list(range(bars))
    assert "text_encoder: sent to a worker" in at_work
    assert "12 at work, 8 waiting; 20 in all" in at_work
    # Its bar is the next one's now; those of the others stay where they are.
    assert f"garment-{bars}.png" in one_ended
    assert "garment-0.png             succeeded   14.0 s" in one_ended
    assert all_ended.count("succeeded   14.0 s") == 19
    assert "20 succeeded; 20 in all" in all_ended


def _since(terminal: io.StringIO) -> str:
    """What was drawn since it was looked at last."""
    text = terminal.getvalue()
    terminal.seek(0)
    terminal.truncate()
    return text
