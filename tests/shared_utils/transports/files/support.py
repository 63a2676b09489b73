"""Two folders, what is dropped into one and what comes out in the other."""

import json
import os
import threading
from pathlib import Path
from typing import Any

from shared_utils.transports.files.inbox import Inbox
from shared_utils.transports.files.settings import FilesSettings
from shared_utils.transports.files.settling import Parts
from shared_utils.transports.files.worker import Worker
from tests.kafka.support import Process, Puppet, environment, until

SCRIPT = str(Path(__file__).with_name("files_process.py"))


class Clock:
    """Time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Folders:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inbox, self.outbox = folder / "inbox", folder / "outbox"
        self.inbox.mkdir()
        self.puppet = Puppet("puppet", folder)

    def settings(self, **others: Any) -> FilesSettings:
        return FilesSettings(**self.given(**others))

    def given(self, **others: Any) -> dict[str, Any]:
        quick = {"files_poll_seconds": 0.02, "files_settle_seconds": 0}
        return {"files_inbox": self.inbox, "files_outbox": self.outbox} | quick | others

    def drop(self, name: str, **fields: Any) -> Path:
        """A job file."""
        file = self.inbox / f"{name}.json"
        file.write_text(json.dumps(fields))
        return file

    def drop_folder(self, name: str, files: dict[str, bytes] | None = None, **fields: Any) -> Path:
        folder = self.inbox / name
        folder.mkdir()
        for file, content in (files or {}).items():
            (folder / file).write_bytes(content)
        (folder / "job.json").write_text(json.dumps(fields))
        return folder

    def inbox_seen(self, clock: Clock, **settings: Any) -> Inbox:
        """What a worker sees of it that takes every job for whole."""
        return Inbox(self.settings(**settings), lambda job: Parts([], complete=True), clock)

    def process(self, freeze: str = "nowhere", name: str = "worker", **settings: Any) -> Process:
        """A worker as a process, which stands still when it comes to `freeze`."""
        log = self.folder / f"{name}.log"
        arguments = [self.puppet.name, str(self.folder), freeze]
        return Process(SCRIPT, *arguments, env=environment(self.given(**settings)), log=log)

    def frozen(self) -> None:
        until((self.folder / "frozen").exists, "a process stands still")

    def out(self, which: str) -> dict[str, Any]:
        """What has come out: the responses by name."""
        found = self.outbox / which
        folders = sorted(found.iterdir()) if found.is_dir() else []
        return {folder.name: json.loads((folder / "response.json").read_bytes()) for folder in folders}

    def wait_out(self, which: str, *names: str) -> dict[str, Any]:
        until(lambda: self.out(which).keys() >= set(names), f"{names} in {which}: {self.out('failed')}")
        return self.out(which)

    def in_hand(self) -> list[str]:
        """What workers have taken and not put into the outbox, or left behind there."""
        homes = [claim / "job" for claim in (self.inbox / ".claims").iterdir()]
        claimed = [str(home) for home in homes if home.is_dir() and os.listdir(home)]  # noqa: PTH208  one call, no gap
        return claimed + [each.name for each in self.outbox.iterdir() if each.name not in ("done", "failed")]

    def nothing_left(self) -> None:
        """Until all that was dropped has come out."""
        until(self._all_is_out, "what is in hand comes out")
        assert [each.name for each in self.inbox.iterdir()] == [".claims"]

    def _all_is_out(self) -> bool:
        try:
            return not self.in_hand()
        except FileNotFoundError:  # it is on its way out
            return False


def done_by(stage: Any, folders: Folders, *names: str, which: str = "done", **settings: Any) -> list[Any]:
    """Have a worker in this process do these jobs."""
    worker, stopping = Worker(stage, folders.settings(**settings)), threading.Event()
    thread = threading.Thread(target=worker.run, args=(stopping,))
    thread.start()
    try:
        found = folders.wait_out(which, *names)
    finally:
        stopping.set()
        thread.join()
        worker.close()
    return [found[name] for name in names]
