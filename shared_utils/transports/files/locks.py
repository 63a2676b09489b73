"""Locks that the system lets go of when a process ends, however it ends."""

import fcntl
import os
from pathlib import Path


class Lock:
    """flock on a file. On network storage it must reach the server: see API.md."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, file: Path) -> "Lock | None":
        """None: somebody else has it, or has just removed it together with its folder."""
        try:
            # Written to, never read: where flock is a lock of NFS, an exclusive one needs that.
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it may have removed the file since it was opened: that lock keeps nobody out.
            if os.path.samestat(os.fstat(descriptor), file.stat()):
                return cls(descriptor)
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def let_go(self) -> None:
        os.close(self._descriptor)
