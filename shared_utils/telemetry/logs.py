"""Logs on stderr: lines for people, or one JSON object a line. Every line of a job carries the job's ids."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_job: ContextVar[dict[str, str]] = ContextVar("job", default={})  # noqa: B039  never changed in place


@contextmanager
def job_context(**ids: str | None) -> Iterator[None]:
    """Add these ids to whatever is logged inside."""
    token = _job.set(_job.get() | {name: value for name, value in ids.items() if value})
    try:
        yield
    finally:
        _job.reset(token)


def start_logging(level: str, form: str) -> None:
    """Send vtryon's logs to stderr. Libraries are heard from WARNING on, or with DEBUG in full."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if form == "json" else _Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if level == "DEBUG" else logging.WARNING)
    logging.getLogger("vtryon").setLevel(level)
    logging.captureWarnings(capture=True)


class _Lines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        # An id may be anything that somebody sent: a line break in it must not begin a line.
        ids = " ".join(f"{name}={value if value.isprintable() else repr(value)}" for name, value in _job.get().items())
        return f"{super().formatMessage(record)}{f'  [{ids}]' if ids else ''}"


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_job.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
