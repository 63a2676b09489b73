"""The gateway as a process: with an engine and without, until it is told to end."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator.main import main
from shared_utils.ports import free_port
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from tests.kafka.support import Process, connection, emptied, environment, until
from tests.orchestrator.gateway.drawn import picture
from tests.orchestrator.gateway.house import PATH


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as made:
        emptied(made)
        yield made


def orchestrator(broker: EmbeddedBroker, mode: str, log: Path, **others: Any) -> Process:
    given = connection(broker) | {"gateway_port": 0, "gateway_grpc_port": 0} | others
    return Process("-m", "orchestrator", "--mode", mode, env=environment(given), log=log)


def address(process: Process) -> str:
    process.wait_for("the gateway listens on http://")
    return f"http://{re.findall(r'listens on http://([^ ]+)', process.log.read_text())[-1]}"


@pytest.mark.parametrize("mode", ["gateway", "both"])
def test_until_it_is_told_to_end(broker: EmbeddedBroker, tmp_path: Path, mode: str) -> None:
    with orchestrator(broker, mode, tmp_path / "log", log_format="json") as process:
        with httpx.Client(base_url=address(process)) as http:
            until(lambda: http.get("/health/ready").status_code == 200, "it is ready")
            answer = http.post(PATH, files={"person": picture(), "garment": picture()})
            assert answer.status_code == 202, answer.text
            name = answer.json()["try_ons"][0]["id"]
            wanted = "running" if mode == "both" else "waiting"
            until(lambda: http.get(f"{PATH}/{name}").json()["state"] == wanted, f"it is {wanted}")
            with http.stream("GET", f"{PATH}/{name}/events") as stream:
                lines = stream.iter_lines()
                next(lines)
                process.send(signal.SIGTERM)
                list(lines)
        assert process.ended() == 0
    assert f'"correlation_id": "{name}"' in process.log.read_text()


def test_where_another_listens_it_ends_and_says_so(broker: EmbeddedBroker, tmp_path: Path) -> None:
    with orchestrator(broker, "gateway", tmp_path / "log") as first:
        port = address(first).rpartition(":")[2]
        with orchestrator(broker, "both", tmp_path / "other", gateway_port=port) as second:
            assert second.ended() == 1
        assert "CANNOT_LISTEN" in second.log.read_text()


def test_keys_are_never_logged(broker: EmbeddedBroker, tmp_path: Path) -> None:
    keys = '{"ann": "a-very-secret-key"}'
    with orchestrator(broker, "gateway", tmp_path / "log", gateway_api_keys=keys, log_level="DEBUG") as process:
        base = address(process)
        for key in ("a-very-secret-key", "a-wrong-secret-key"):
            httpx.get(f"{base}{PATH}", headers={"Authorization": f"Bearer {key}"})
        process.send(signal.SIGTERM)
        assert process.ended() == 0
    assert "secret-key" not in process.log.read_text()


def test_without_kafka_it_lives_and_is_not_ready(tmp_path: Path) -> None:
    nowhere = {"kafka_bootstrap_servers": f"localhost:{free_port()}", "gateway_port": 0, "gateway_grpc_port": 0}
    with Process("-m", "orchestrator", "--mode", "gateway", env=environment(nowhere), log=tmp_path / "log") as process:
        base = address(process)
        assert httpx.get(f"{base}/health/live").status_code == 200
        assert httpx.get(f"{base}/health/ready").status_code == 503
        process.send(signal.SIGTERM)
        assert process.ended() == 0


def test_other_modes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--mode", "door"])
    assert ended.value.code == 2
    assert "gateway" in capsys.readouterr().err
