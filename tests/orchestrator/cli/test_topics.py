"""`vtryon topics`: what a person sees."""

import pytest

from orchestrator.cli.main import main
from orchestrator.config import Config
from shared_utils.transports.kafka import topics


def test_all_there(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topics", "check"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["state", "topic", "partitions", "purpose"]
    assert [row.split()[:3] for row in rows] == [["ok", topic.name, "4"] for topic in topics.TOPICS]
    assert main(["topics", "create"]) == 0
    assert capsys.readouterr().out == "All topics are there.\n"


def test_one_missing_and_one_uneven(
    config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = {topic.name: 8 for topic in topics.TOPICS} | {"stage-cancels": 0, "tryon-status": 4}
    monkeypatch.setattr(topics, "partition_counts", lambda settings, names: {name: counts[name] for name in names})
    assert main(["topics", "check"]) == 1
    shown = capsys.readouterr().out
    assert "missing  stage-cancels" in shown
    assert "1 missing. To make them: vtryon topics create" in shown
    assert "must have the same number of partitions" in shown
    assert "kafka-topics.sh --alter" in shown


@pytest.mark.parametrize("wrong", ["0", "-1", "x", "1.5"])
def test_numbers_that_are_none(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["topics", "create", f"--partitions={wrong}"])
    assert "is no whole number above 0" in capsys.readouterr().err
