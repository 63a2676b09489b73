"""How one try-on is shown while it goes on, and when something is said of it."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli import drawing
from orchestrator.cli.drawing import Lines, described, watch
from orchestrator.cli.followed import Followed, followed
from orchestrator.cli.over_kafka import hear
from orchestrator.config import Config
from orchestrator.listening import Listener
from orchestrator.models import TryOnSuccess
from orchestrator.workflow import request_id
from shared_utils.transports.kafka.messages import JsonCodec
from tests.orchestrator.cli.orchestrating import failed, succeeded, tell, tell_progress, tryon
from tests.orchestrator.cli.terminal import Terminal


def one(name: str = "try-7") -> Followed:
    return followed(name, "request", Path("striped.png"))


def test_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    shown, lines = one(), Lines()
    lines.show([shown])
    assert capsys.readouterr().err == ""
    shown.hear(succeeded("try-7"))
    lines.show([shown])
    lines.show([shown])
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[:2] for line in said] == [[name, "done"] for name in shown.course.steps]
    assert said[2] == described("sampling", shown.course.steps["sampling"])
    assert said[2].endswith("8.0 s")


def test_a_bar_for_each_step_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    shown = one()

    def moments() -> Iterator[None]:
        shown.hear(tryon("try-7"))
        yield
        shown.hear(succeeded("try-7"))
        yield

    watch([shown], moments())
    assert "text_encoder    sent to a worker" in terminal.getvalue()
    assert "decoding        done" in terminal.getvalue()


def test_nobody_takes_it(
    config: Config, codec: JsonCodec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drawing, "PATIENCE_SECONDS", 0)
    shown = one(f"try-{uuid.uuid4()}")

    def moments(listener: Listener) -> Iterator[None]:
        for number, moment in enumerate(hear(listener, [shown])):
            if number == 2:
                tell(config, failed(shown.name))
            yield moment

    with Listener(config, codec, shown.name) as listener:
        watch([shown], moments(listener))
    assert capsys.readouterr().err.count("No orchestrator has taken it yet") == 1


def test_only_this_try_on_from_its_sending_to_its_end(config: Config, codec: JsonCodec) -> None:
    shown, other = one(f"try-{uuid.uuid4()}"), f"try-{uuid.uuid4()}"
    name = shown.name
    tell(config, tryon(name, state="cancelled"))  # before: not heard of
    with Listener(config, codec, name) as listener:
        tell(config, succeeded(other))
        step = request_id(name, "sampling", 1)
        tell_progress(config, correlation_id=name, request_id=step, step="sampling", state="running", node="KSampler")
        tell(config, succeeded(name))
        watch([shown], hear(listener, [shown]))
    assert isinstance(shown.answer, TryOnSuccess)
    assert (shown.answer.correlation_id, shown.answer.image_path) == (name, "/out/tryon.png")
    assert [position.text for position in shown.course.steps.values()] == ["done"] * 4
