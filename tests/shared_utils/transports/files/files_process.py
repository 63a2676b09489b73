"""A puppet behind an inbox: files_process.py NAME FOLDER FREEZE. All else comes from the environment.

Where FREEZE names a step, the process makes the file `frozen` just before it or after it and stands still, so that a
test can kill it there.
"""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Never

from shared_utils.telemetry.logs import start_logging
from shared_utils.transports.files import inbox, outbox
from shared_utils.transports.files.claims import Claim, Claims
from shared_utils.transports.files.command import run_files
from shared_utils.transports.files.settings import FilesSettings
from tests.kafka.support import Puppet

STEPS: dict[str, tuple[Any, str]] = {
    "note": (Claim, "_note"),
    "take": (Claim, "take"),
    "answer": (Claim, "note_answer"),
    "bring": (outbox, "_bring"),
    "put": (inbox, "put"),
    "remove": (Claim, "remove"),
    "end": (Claims, "end"),
}


def freeze(where: str, mark: Path) -> None:
    moment, _, step = where.partition(" ")
    if step not in STEPS:
        return
    holder, name = STEPS[step]
    real: Callable[..., Any] = getattr(holder, name)

    def frozen() -> Never:
        mark.touch()
        threading.Event().wait()
        raise AssertionError("unreachable")

    def replaced(*arguments: Any) -> Any:
        if moment == "after":
            real(*arguments)
        frozen()

    setattr(holder, name, replaced)


if __name__ == "__main__":
    name, folder, where = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    settings = FilesSettings.read()
    start_logging(settings.log_level, settings.log_format)
    freeze(where, folder / "frozen")
    sys.exit(run_files(Puppet(name, folder), []))
