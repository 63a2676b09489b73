"""What processes take is seen, that of those that they start too."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from footprint import Peak, cpu_seconds, idle_seconds, resident, tree

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
print(child.stdout.readline().decode().strip(), flush=True)
sys.stdin.read()
child.stdin.close()
child.wait()
"""
CHILD = """
import os, sys, time
block = bytearray(os.urandom(1024)) * (50 * 1024)
while time.process_time() < 0.2:
    pass
print(os.getpid(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def family() -> Iterator[tuple[int, int]]:
    """A process and its child, which has 50 MB and has worked for 0.2 s."""
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        yield parent.pid, int(parent.stdout.readline())
        parent.stdin.close()


def test_a_tree_has_the_children(family: tuple[int, int]) -> None:
    assert tree([family[0]]) == list(family)


def test_the_childs_work_and_memory_count(family: tuple[int, int]) -> None:
    parent, child = family
    assert cpu_seconds([parent, child]) - cpu_seconds([parent]) >= 0.19
    assert resident([parent, child]) - resident([parent]) > 50 * 1024**2
    with Peak([parent, child]) as peak:
        pass
    assert 50 < peak.megabytes < 200


def test_who_is_gone_takes_nothing() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert (cpu_seconds([ended.pid]), resident([ended.pid])) == (0, 0)
    assert os.getpid() in tree([os.getpid()])


def test_what_the_machine_had_left() -> None:
    up, idle = map(float, Path("/proc/uptime").read_text().split())
    assert idle - 1 < idle_seconds() < up * (os.cpu_count() or 1) + 1
