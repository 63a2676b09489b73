"""Health and metrics of the ways in that have no HTTP of their own: from cold to the end."""

import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from shared_utils.ports import LOOPBACK, free_port
from shared_utils.transports.files import command as files_command
from shared_utils.transports.grpc import command as grpc_command
from tests.kafka.support import in_thread, stopped_by_its_thread, until
from tests.shared_utils.transports.grpc.doors import HeldSampler

Run = Callable[[HeldSampler, Path], int]


def over_grpc(stage: HeldSampler, folder: Path) -> int:
    return grpc_command.run_grpc(stage, ["--port", "0"])


def from_files(stage: HeldSampler, folder: Path) -> int:
    return files_command.run_files(stage, ["--inbox", str(folder / "in"), "--outbox", str(folder / "out")])


@pytest.mark.parametrize("run", [over_grpc, from_files])
def test_cold_then_ready_then_ending(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, stage = free_port(), HeldSampler(cold=True)
    monkeypatch.setenv("HEALTH_PORT", str(port))
    for module in (grpc_command, files_command):
        monkeypatch.setattr(module, "stopped_by_signals", stopped_by_its_thread)
    with in_thread(lambda: run(stage, tmp_path)) as told, httpx.Client(base_url=f"http://{LOOPBACK}:{port}") as client:
        until(lambda: _status(client, "/health/live") == 200, "it is live")
        assert _status(client, "/health/ready") == 503
        stage.may_warm_up.set()
        until(lambda: _status(client, "/health/ready") == 200, "it is ready")
        shown = client.get("/metrics").text
        assert 'vtryon_requests_in_progress{stage="sampling"} 0.0' in shown
        assert "vtryon_ready 1.0" in shown
        told.stopping.set()
        told.join()
        assert _status(client, "/health/live") is None


def test_a_taken_health_port_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        monkeypatch.setenv("HEALTH_PORT", str(taken.getsockname()[1]))
        monkeypatch.setattr(grpc_command, "stopped_by_signals", stopped_by_its_thread)
        codes: list[int] = []
        with in_thread(lambda: codes.append(over_grpc(HeldSampler(), tmp_path))) as told:
            told.join()
        assert codes == [1]
        assert "CANNOT_LISTEN" in caplog.text


def _status(client: httpx.Client, path: str) -> int | None:
    try:
        return client.get(path).status_code
    except httpx.TransportError:
        return None
