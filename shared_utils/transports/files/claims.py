"""Jobs that workers have taken out of the inbox.

A claim is a folder with a lock. Whoever holds the lock works on the job in it; a lock that nobody holds belonged to a
worker that died, and whoever takes it has the job.

    INBOX/.claims/<id>/lock
                       claim.json     the job's name in the inbox, and how often work on it has begun
                       job/           the job's folder, or its job.json; what is made of it goes here too
                       answer.json    once there is one: what is left to do is to put all of it into the outbox
"""

import contextlib
import json
import logging
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from shared_utils.artifacts.paths import write_whole
from shared_utils.errors import first_line
from shared_utils.transports.files.entries import ENDING, Entry
from shared_utils.transports.files.jobs import JOB, Job
from shared_utils.transports.files.locks import Lock

CLAIMS = ".claims"

log = logging.getLogger("vtryon.files")


@dataclass(frozen=True)
class Record:
    """What is known of a claim."""

    name: str
    is_folder: bool
    begun: int


@dataclass(frozen=True)
class Answer:
    """What became of the job."""

    succeeded: bool
    response: dict[str, Any]


class Claim:
    """A claim whose lock this process holds."""

    def __init__(self, folder: Path, lock: Lock) -> None:
        self._folder = folder
        self._lock = lock
        self.home = folder / "job"
        """Where the job is, and where its results go: the folder that will be the outbox's."""
        self.copied = folder / "copied"
        """The same when a copy of it is in the outbox, if that is on another file system."""

    @property
    def id(self) -> str:
        return self._folder.name

    @property
    def record(self) -> Record:
        """A power failure may have spoilt it: then the job has its claim's name."""
        try:
            return Record(**json.loads((self._folder / "claim.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return Record(self.id, is_folder=True, begun=0)

    @property
    def job(self) -> Job:
        is_folder = self.record.is_folder
        inbox = self._folder.parent.parent
        return Job(self.home / JOB, self.home if is_folder else inbox, is_folder)

    @property
    def title(self) -> str:
        """What its folder in the outbox is to be called."""
        record = self.record
        name = record.name.replace("/", "_")  # in no name of a file; whoever can write here wants to be elsewhere
        return name if record.is_folder or not name.lower().endswith(ENDING) else name[: -len(ENDING)]

    @property
    def answer(self) -> Answer | None:
        try:
            return Answer(**json.loads((self._folder / "answer.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def empty(self) -> bool:
        """Whether its worker died before it had the job, or after all was done."""
        return self.answer is None and not (self.home.is_dir() and any(self.home.iterdir()))

    def take(self, entry: Entry) -> None:
        """Have the job of this entry. Raises OSError; FileNotFoundError if somebody else has it."""
        self._note(Record(entry.path.name, entry.is_folder, begun=1))
        entry.path.rename(self.home if entry.is_folder else self.home / JOB)

    def note_begun(self, times: int) -> None:
        self._note(replace(self.record, begun=times))

    def note_answer(self, answer: Answer) -> None:
        write_whole({self._folder / "answer.json": _written(answer)})

    def let_go(self) -> None:
        """Leave it to whoever comes next."""
        self._lock.let_go()

    def remove(self) -> None:
        for path in (self.home, self.copied):
            shutil.rmtree(path, ignore_errors=True)
        for name in ("answer.json", "claim.part", "claim.json", "lock"):
            (self._folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody may have put a lock there, to see whether it was abandoned
            self._folder.rmdir()
        self._lock.let_go()

    def _note(self, record: Record) -> None:
        beside = self._folder / "claim.part"
        beside.write_bytes(_written(record))
        beside.replace(self._folder / "claim.json")


def _written(kept: Record | Answer) -> bytes:
    """In ASCII, because a file's name may be no text."""
    return json.dumps(asdict(kept)).encode("ascii")


class Claims:
    """The claims on an inbox that this process holds. Raises OSError if the inbox can't hold any."""

    def __init__(self, inbox: Path) -> None:
        self._folder = inbox / CLAIMS
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._held: set[str] = set()
        self._spare: Claim | None = self._new()

    def take(self, entry: Entry) -> Claim | None:
        """None: another worker has it. Raises OSError if nobody can have it."""
        claim = self._spare or self._new()
        self._spare = None
        try:
            claim.take(entry)
        except FileNotFoundError:
            self._spare = claim  # a crowd at a full inbox need not make a folder for every job that it misses
            return None
        except OSError:
            self.end(claim)
            raise
        return claim

    def abandoned(self) -> Iterator[Claim]:
        """Those of workers that died, which are now this process's."""
        for folder in list(self._folder.iterdir()):
            try:
                claim = self._found(folder)
            except OSError as denied:
                log.warning("can't tell whether %r is abandoned: %s", str(folder), first_line(denied))
                continue
            if claim is None:
                continue
            if claim.empty:
                self.end(claim)
            else:
                yield claim

    def leave(self, claim: Claim) -> None:
        """To whoever comes next."""
        claim.let_go()
        self._held.discard(claim.id)

    def end(self, claim: Claim) -> None:
        """There is nothing left to do."""
        claim.remove()
        self._held.discard(claim.id)

    def close(self) -> None:
        if self._spare is not None:
            self.end(self._spare)

    def _new(self) -> Claim:
        while True:
            folder = self._folder / uuid.uuid4().hex
            folder.mkdir()
            lock = Lock.take(folder / "lock")
            if lock is not None:  # else somebody took it for abandoned
                break
        self._held.add(folder.name)
        claim = Claim(folder, lock)
        claim.home.mkdir()
        return claim

    def _found(self, folder: Path) -> Claim | None:
        # Not our own: where flock is a lock of NFS, we would be given it again, and then lose it.
        if folder.name in self._held or folder.is_symlink() or not folder.is_dir():
            return None
        lock = Lock.take(folder / "lock")
        if lock is None:
            return None
        self._held.add(folder.name)
        return Claim(folder, lock)
