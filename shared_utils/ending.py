"""The end of a process that has served."""

import logging
import os
import sys
import threading
from typing import NoReturn

from shared_utils.telemetry.traces import stop_traces

AT_WORK = "at work: "
"""What the names of threads begin with that may be inside PyTorch."""


def leave(code: int) -> NoReturn:
    """The last line of a service, which may have a job that was given up and goes on.

    Between two nodes it stops, in the middle of one it can't; and a thread that is inside PyTorch when Python takes
    itself down ends the process with SIGABRT."""
    if any(each.name.startswith(AT_WORK) for each in threading.enumerate()):
        stop_traces()
        logging.shutdown()
        os._exit(code)
    sys.exit(code)
