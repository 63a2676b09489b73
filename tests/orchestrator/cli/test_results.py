"""How try-ons' ends are told."""

from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.cli.followed import followed
from orchestrator.cli.results import Result, result_of, tell, tell_all, timings
from orchestrator.gateway.models import TryOnView
from orchestrator.models import StepTiming
from orchestrator.state import Problem
from tests.orchestrator.cli.orchestrating import BEGUN, answer, failed, succeeded, tryon


def test_timings_say_who_waited_and_who_worked() -> None:
    ended = BEGUN + timedelta(seconds=12)
    found = [
        StepTiming(step="sampling", attempts=2, started=BEGUN, finished=ended, processing_time_ms=9_500),
        StepTiming(step="decoding", attempts=1, started=ended, finished=ended + timedelta(seconds=1)),
    ]
    head, sampling, decoding, whole = timings(Result("succeeded", timings=found)).splitlines()
    assert head.split() == ["step", "attempts", "waited", "worked", "together"]
    assert sampling.split() == ["sampling", "2", "2.5", "s", "9.5", "s", "12.0", "s"]
    assert decoding.split() == ["decoding", "1", "0.0", "s", "1.0", "s", "1.0", "s"]
    assert whole.split() == ["all", "13.0", "s"]
    assert {len(line) for line in (head, sampling, decoding, whole)} == {len(head)}


def test_the_same_from_kafka_and_from_a_gateway(capsys: pytest.CaptureFixture[str]) -> None:
    cancelled = tryon("try-7", state="cancelled", problem=Problem(code="CANCELLED", message="Somebody asked for it."))
    for state in (succeeded("try-7"), failed("try-7"), cancelled):
        tell(answer(state))
        kafka = capsys.readouterr()
        tell(TryOnView.of(state))
        gateway = capsys.readouterr()
        assert kafka.out == gateway.out
        # A gateway's callers need not know of dead letters.
        assert kafka.err.startswith(gateway.err)
        assert result_of(answer(state)).state == result_of(TryOnView.of(state)).state == state.state


def test_where_the_picture_is(capsys: pytest.CaptureFixture[str]) -> None:
    tell(answer(succeeded("try-7")))
    assert "The picture: /out/tryon.png\nThe seed: 7" in capsys.readouterr().out
    tell(answer(succeeded("try-7")), Path("here/striped.png"))
    assert "The picture: here/striped.png" in capsys.readouterr().out


def test_a_table_of_many(capsys: pytest.CaptureFixture[str]) -> None:
    tryons = [followed(name, "request", Path("in") / f"{name}.png") for name in ("striped", "plain")]
    tryons[0].hear(answer(succeeded("striped")))
    tryons[0].file = Path("here/striped.png")
    tryons[1].hear(TryOnView.of(failed("plain")))
    tell_all(tryons)
    _, head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["garment", "state", "time", "try-on", "picture", "or", "problem"]
    assert rows[0].split() == ["striped.png", "succeeded", "14.0", "s", "striped", "here/striped.png"]
    assert rows[1].split(maxsplit=5) == [
        "plain.png",
        "failed",
        "0.0",
        "s",
        "plain",
        "UNET_MODEL_NOT_FOUND: No diffusion model x.",
    ]
