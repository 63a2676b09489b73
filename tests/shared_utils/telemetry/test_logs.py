"""Log lines: one for each thing that was logged, whatever is in it."""

import json
import logging

import pytest

from shared_utils.telemetry.logs import job_context, start_logging

FORGED = "first\n12:00:00 INFO    all is well"


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(logging, "captureWarnings", lambda capture: None)


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_id_with_a_line_break_begins_no_line(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("INFO", form)
    with job_context(request_id=FORGED, correlation_id="second"):
        logging.getLogger("vtryon.test").info("started")
    (line,) = capsys.readouterr().err.splitlines()
    assert "started" in line
    if form == "json":
        assert json.loads(line)["request_id"] == FORGED
    else:
        assert line.endswith(r"[request_id='first\n12:00:00 INFO    all is well' correlation_id=second]")


def test_ids_are_those_of_the_job(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("INFO", "text")
    with job_context(stage="sampling"), job_context(request_id="one", correlation_id=None):
        logging.getLogger("vtryon.test").info("inside")
    logging.getLogger("vtryon.test").info("outside")
    inside, outside = capsys.readouterr().err.splitlines()
    assert inside.endswith("inside  [stage=sampling request_id=one]")
    assert outside.endswith("outside")
