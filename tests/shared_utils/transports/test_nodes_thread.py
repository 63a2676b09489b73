"""Whatever way a stage is reached, its nodes run on the main thread, and what serves runs beside it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared_utils.comfy.one_thread import on_the_nodes_thread
from shared_utils.transports.files import command as files
from shared_utils.transports.files.worker import Worker
from shared_utils.transports.grpc import command as grpc
from shared_utils.transports.kafka import command as kafka
from shared_utils.transports.kafka import host
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.settings import WorkerSettings
from shared_utils.transports.rest import command as rest
from tests.kafka.support import connection
from tests.shared_utils.transports.grpc.doors import HeldSampler


class Served(threading.Event):
    """In place of what serves: notes its own thread, and the one that nodes run on."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    def note(self, *_: object) -> None:
        self.threads.extend([threading.get_ident(), on_the_nodes_thread(threading.get_ident)])

    def wait(self, timeout: float | None = None) -> bool:
        """What gRPC's command serves by, once its server is up."""
        self.note()
        return True


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    beside, nodes = served.threads
    assert beside != nodes == threading.get_ident()


def test_rest(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "serve_stage", served.note)
    assert rest.run_rest(HeldSampler(), []) == 0


def test_grpc(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def told() -> Iterator[threading.Event]:
        yield served

    monkeypatch.setattr(grpc, "stopped_by_signals", told)
    assert grpc.run_grpc(HeldSampler(), ["--port", "0"]) == 0


def test_files(served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Worker, "run", served.note)
    folders = [f"--{name}={tmp_path / name}" for name in ("inbox", "outbox")]
    assert files.run_files(HeldSampler(), folders) == 0


def test_kafka(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_serve_all", served.note)
    with EmbeddedBroker() as broker:
        assert kafka.run_together([HeldSampler()], WorkerSettings(**connection(broker))) == 0
