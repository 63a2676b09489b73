"""A process that is told to end hears it whatever its main thread does."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared_utils.signals import STOPPED

ROOT = Path(__file__).resolve().parents[2]
SOON = 60
INSIDE_C = """
import ctypes, logging, sys, threading
from shared_utils.signals import stopped_by_signals

logging.basicConfig(level="INFO", format="%(message)s")
never = threading.Event()
with stopped_by_signals() as stopping:
    threading.Thread(target=lambda: (stopping.wait(), print("told", flush=True), never.wait())).start()
    print("ready", flush=True)
    # As a main thread inside PyTorch, or one that began to wait as the signal came: it runs no line of Python.
    libc = ctypes.CDLL(None)
    while True:
        libc.sleep(1000)
"""
"""Deaf in its main thread, with a thread that would keep Python from ending."""
WAITS = """
import logging, signal
from shared_utils.signals import stopped_by_signals

before = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]
with stopped_by_signals() as stopping:
    print("ready", flush=True)
    stopping.wait()
assert [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)] == before
assert signal.set_wakeup_fd(-1) == -1
"""


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_is_told_while_its_main_thread_is_deaf_and_ended_by_a_ctrl_c_more(how: signal.Signals) -> None:
    with running(INSIDE_C) as process:
        process.send_signal(how)
        assert process.stdout is not None
        assert process.stdout.readline() == "told\n"
        process.send_signal(signal.SIGTERM)  # one more of these is no haste
        process.send_signal(signal.SIGINT)
        assert process.wait(SOON) == STOPPED


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_and_leaves_signals_as_they_were(how: signal.Signals) -> None:
    with running(WAITS) as process:
        process.send_signal(how)
        assert process.wait(SOON) == 0
