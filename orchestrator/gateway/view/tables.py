"""The view's tables, and what is written to them."""

import sqlite3
from pathlib import Path

from shared_utils.errors import OutputDirNotWritableError

STATUS, PROGRESS = 0, 1
"""Kinds of event."""

TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE tryons (
    id TEXT PRIMARY KEY,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,     -- of its newest state on tryon-status; of one that was refused, on tryon-responses
    state TEXT NOT NULL,
    submitted INTEGER NOT NULL,  -- milliseconds since 1970, as all times
    request_id TEXT NOT NULL,
    said BLOB NOT NULL,          -- the state, or the answer that refused it
    began INTEGER NOT NULL,      -- when it was taken up; 0 if it was refused
    image_path TEXT,
    miniature INTEGER,
    news BLOB NOT NULL           -- the latest progress of its steps, while it runs
);
CREATE INDEX by_time ON tryons (submitted, id);
CREATE INDEX by_state ON tryons (state, submitted, id);
CREATE TABLE events (
    id TEXT NOT NULL,
    partition INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    at INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE UNIQUE INDEX by_tryon ON events (id, partition, kind, offset);
CREATE INDEX by_place ON events (kind, partition, offset);
"""

_PUT = """
INSERT INTO tryons VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
    partition = excluded.partition, offset = excluded.offset, state = excluded.state, submitted = excluded.submitted,
    request_id = excluded.request_id, said = excluded.said, began = excluded.began, image_path = excluded.image_path,
    miniature = excluded.miniature, news = excluded.news
WHERE """
# Of two try-ons of one name, on two partitions, the one that was taken up later counts: whatever is read first.
PUT_STATE = _PUT + "(excluded.began, excluded.partition) >= (began, partition)"
PUT_REFUSAL = _PUT + "state = 'refused' AND (excluded.submitted, excluded.partition) >= (submitted, partition)"
PUT_EVENT = "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?)"
TRIM_EVENTS = """
DELETE FROM events WHERE id = ?1 AND partition = ?2 AND kind = ?3 AND offset <= (
    SELECT offset FROM events WHERE id = ?1 AND partition = ?2 AND kind = ?3 ORDER BY offset DESC LIMIT 1 OFFSET ?4)
"""
FORGET = "DELETE FROM tryons WHERE id = ? AND partition = ?"
FORGET_EVENTS = "DELETE FROM events WHERE id = ? AND partition = ?"
FORGET_BEFORE = "DELETE FROM tryons WHERE (state = 'refused') = ? AND partition = ? AND offset < ? RETURNING id"
FORGET_EVENTS_BEFORE = "DELETE FROM events WHERE kind = ? AND partition = ? AND offset < ?"


def made(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """An empty view: a connection to write with, and one to read with meanwhile. Raises OutputDirNotWritableError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        writer, reader = _opened(path), _opened(path)
        writer.executescript(TABLES)
        # With this, it has opened all its files.
        reader.execute("SELECT count(*) FROM tryons").fetchone()
    except (OSError, sqlite3.Error) as failed:
        raise OutputDirNotWritableError(
            f"The gateway's view can't be written to {path}: {failed}. Choose another file with GATEWAY_VIEW."
        ) from None
    return writer, reader


def _opened(path: Path) -> sqlite3.Connection:
    # No transaction begins by itself; which thread uses it when, the view sees to.
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)
