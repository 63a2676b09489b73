"""Processes that end with the one that started them."""

import os
import sys
from collections.abc import Sequence

# Asks Linux to end this process with its parent, and becomes the command. Done in a process of its own, as nothing but
# the simplest may run between fork and exec where there are threads.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent has ended")
os.execvp(sys.argv[2], sys.argv[2:])
"""


def ending_with_us(command: Sequence[str]) -> list[str]:
    """A command for a process that ends with the thread that starts it, however that ends. Elsewhere than on Linux it
    stays behind."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]
