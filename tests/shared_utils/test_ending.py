"""A process ends with its exit code, whatever a job that was given up still does."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GIVEN_UP = """
import threading, torch
from shared_utils.ending import AT_WORK, leave

def work():
    numbers = torch.rand(400, 400)
    while True:
        begun.set()
        numbers @ numbers

begun = threading.Event()
threading.Thread(target=work, name=f"{AT_WORK}r1", daemon=True).start()
begun.wait()
leave(3)
"""
IN_ORDER = """
import atexit
from shared_utils.ending import leave

atexit.register(print, "in order")
leave(3)
"""


def run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_with_a_thread_inside_pytorch() -> None:
    done = run(GIVEN_UP)
    assert (done.returncode, done.stderr) == (3, "")


def test_with_nothing_at_work_python_takes_itself_down() -> None:
    done = run(IN_ORDER)
    assert (done.returncode, done.stdout) == (3, "in order\n")
