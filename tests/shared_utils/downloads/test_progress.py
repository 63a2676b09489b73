"""What is shown while files come."""

import io
import sys

import pytest

from shared_utils.downloads.progress import Bars, Lines, shown_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each file; one that begins anew goes back."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with shown_progress("text") as progress:
        assert isinstance(progress, Bars)
        progress.at("checking", "vae/a.safetensors", 500, 1000)
        progress.at("downloading", "loras/b.safetensors", 10, 1000)
        for done in (1000, 0, 1000):
            progress.at("downloading", "vae/a.safetensors", done, 1000)
    shown = terminal.getvalue()
    assert "checking vae/a.safetensors:" in shown
    assert "downloading vae/a.safetensors: 100%" in shown
    assert "downloading loras/b.safetensors:" in shown


@pytest.mark.parametrize(("form", "terminal"), [("json", Terminal()), ("text", io.StringIO())])
def test_lines_elsewhere(
    form: str, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A line for each tenth, with fields for those who read JSON."""
    caplog.set_level("INFO", logger="vtryon")
    monkeypatch.setattr(sys, "stderr", terminal)
    with shown_progress(form) as progress:
        assert isinstance(progress, Lines)
        for done in range(1001):
            progress.at("downloading", "vae/a.safetensors", done, 1000)
    assert len(caplog.records) == 11
    assert vars(caplog.records[-1])["fields"] == {
        "file": "vae/a.safetensors",
        "doing": "downloading",
        "done": 1000,
        "size": 1000,
    }
