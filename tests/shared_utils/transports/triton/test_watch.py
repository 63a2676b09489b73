"""Who has died is told apart from who has ended, and from who has not been there."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from shared_utils.transports.triton import watch
from shared_utils.transports.triton.watch import Alive, Watch, this_server

SERVER = "this one"
LIVE = """
import sys
from pathlib import Path
from shared_utils.transports.triton.watch import Alive
alive = Alive(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
print("alive", flush=True)
sys.stdin.read()
alive.end()
"""


Live = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def live(tmp_path: Path, request: pytest.FixtureRequest) -> Live:
    """Starts the process of an instance, which ends when its stdin does."""

    def start(instance: str, server: str = SERVER) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", LIVE, str(tmp_path), instance, server],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        request.addfinalizer(process.communicate)
        assert process.stdout
        assert process.stdout.readline() == "alive\n"
        return process

    return start


def test_a_killed_process_is_told_by_name(tmp_path: Path, live: Live) -> None:
    seen = Watch(tmp_path, SERVER)
    sampling, _ = live("sampling_0"), live("decoding_0")
    assert seen.died() == []
    sampling.kill()
    sampling.wait()
    assert seen.died() == ["sampling_0"]


def test_a_process_that_is_dead_but_not_buried(tmp_path: Path, live: Live) -> None:
    seen, process = Watch(tmp_path, SERVER), live("sampling_0")
    assert seen.died() == []
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert seen.died() == ["sampling_0"]


def test_who_ends_in_good_order_has_not_died(tmp_path: Path, live: Live) -> None:
    seen, process = Watch(tmp_path, SERVER), live("sampling_0")
    assert seen.died() == []
    process.communicate()
    assert process.returncode == 0
    assert seen.died() == []
    live("sampling_0")
    assert seen.died() == []


def test_what_an_earlier_server_left_is_no_death(tmp_path: Path, live: Live) -> None:
    before = live("sampling_0", "an earlier one")
    before.kill()
    before.wait()
    seen = Watch(tmp_path, SERVER)
    assert seen.died() == []
    now = live("sampling_0")
    assert seen.died() == []
    now.kill()
    now.wait()
    assert seen.died() == ["sampling_0"]


def test_before_anybody_lives(tmp_path: Path) -> None:
    assert Watch(tmp_path / "alive", SERVER).died() == []


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> "queue.Queue[tuple[int, int]]":
    """What is sent to whom, instead of sending it."""
    sent: queue.Queue[tuple[int, int]] = queue.Queue()
    monkeypatch.setattr(os, "kill", lambda process, how: sent.put((process, how)))
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
    return sent


@pytest.fixture
def dead(tmp_path: Path) -> Watch:
    """Looks at somebody who died before anybody had looked."""
    Alive(tmp_path, "sampling_0", SERVER)._held.close()  # as the system does
    return Watch(tmp_path, SERVER)


def test_the_server_is_ended(
    dead: Watch, signals: "queue.Queue[tuple[int, int]]", caplog: pytest.LogCaptureFixture
) -> None:
    dead.start()
    assert signals.get(timeout=60) == (os.getppid(), signal.SIGTERM)
    assert "sampling_0 died" in caplog.text
    dead.end()  # by now it has answered what was in hand
    assert signals.empty()


def test_a_server_that_hangs_is_killed(
    dead: Watch, signals: "queue.Queue[tuple[int, int]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "HUNG_SECONDS", 0)
    dead.start()
    assert [signals.get(timeout=60)[1] for _ in range(2)] == [signal.SIGTERM, signal.SIGKILL]


def test_who_ends_with_the_server_ends_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "kill", lambda process, how: pytest.fail("nobody died"))
    alive, seen = Alive(tmp_path / "alive", "sampling_0", SERVER), Watch(tmp_path / "alive", SERVER)
    seen.start()
    assert seen.died() == []
    alive.end()
    seen.end()
    assert list(tmp_path.iterdir()) == []


def test_whoever_took_over_from_the_server_is_left_alone(
    dead: Watch, signals: "queue.Queue[tuple[int, int]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()

    def another() -> int:
        looked.set()
        return 1

    monkeypatch.setattr(os, "getppid", another)
    monkeypatch.setattr(watch, "HUNG_SECONDS", 0)
    dead.start()
    assert looked.wait(60)
    dead.end()
    assert signals.empty()


def test_a_server_is_told_from_one_that_had_its_number() -> None:
    assert this_server() == this_server()
    assert re.fullmatch(rf"{os.getppid()} \d+", this_server())
