"""Every container's command, started as a process with that container's environment: it comes up, its probes are
answered where and how the manifests ask, and SIGTERM ends it in its grace period, with 0.

Not shown here: the images themselves (make test-images), a GPU, and what a cluster does with all this.
"""

import http.server
import json
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.settings import KafkaSettings
from shared_utils.transports.triton.repository import HOST
from tests.deploy.conftest import OVERLAYS
from tests.deploy.containers import Container, Probe
from tests.deploy.starting import House, all_started, run_once
from tests.deploy.test_product import READ
from tests.shared_utils.transports.triton.triton_stand_in import TritonStandIn, triton

Batch = list[Container]
NOT_SHOWN = {
    "comfyui_device",  # the CPU here, whatever it says
    "kafka_bootstrap_servers",
    "kafka_drain_seconds",
    "kafka_instance_id",
    "schema_registry_url",  # not asked for messages in JSON
    "log_level",
}


def _found(containers: Batch, where: str) -> Container:
    (found,) = [each for each in containers if each.where == where]
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[TritonStandIn]:
    """In Triton's place: it says that all models are ready."""
    with triton(**dict.fromkeys((*topics.STAGES, HOST), lambda _: {})) as running:
        yield running


def test_the_kafka_of_the_manifests_is_one(kafka: ApacheKafka, house: House, containers: Batch) -> None:
    """It runs with the settings of the demo's, and the Job makes the topics on it, once and again."""
    code, said = run_once(_found(containers, "demo/topics"), house, "again")
    assert code == 0, said
    assert "All topics are there." in said
    counts = topics.partition_counts(
        KafkaSettings(kafka_bootstrap_servers=kafka.bootstrap), [t.name for t in topics.TOPICS]
    )
    assert set(counts.values()) == {12}


def test_jobs_of_topics_are_alike(ours: Batch) -> None:
    made = {tuple(each.command) for each in ours if each.command[:2] == ["vtryon", "topics"]}
    assert made == {("vtryon", "topics", "create", "--partitions", "12")}


def test_models_are_asked_for(ours: Batch, house: House, tmp_path: Path) -> None:
    """From where the setting says; here nobody has them, and the command says so and ends."""
    asked: list[str] = []

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *given: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as nobody:
        threading.Thread(target=nobody.serve_forever, daemon=True).start()
        (tmp_path / "models").mkdir()
        there = House(tmp_path, house.bootstrap)
        commands = {tuple(each.command): each for each in ours if each.command[1:3] == ["models", "download"]}
        for number, container in enumerate(commands.values()):
            mirror = f"http://127.0.0.1:{nobody.server_address[1]}"
            code, said = run_once(container, there, f"models-{number}", HF_ENDPOINT=mirror)
            assert code == 1, said
            assert any(path.endswith("qwen_image_vae.safetensors") for path in asked), said
        nobody.shutdown()
    assert commands


class Shown:
    """What has been started: its probes that said yes, and the seconds to its end. What is alike is started once."""

    def __init__(self) -> None:
        self._found: dict[object, tuple[set[Probe], float]] = {}

    def has(self, container: Container) -> bool:
        probes, seconds = self._found.get(_likeness(container), (set(), 0.0))
        return _asked(container) <= _places(probes) and seconds < container.grace

    def add(self, container: Container, seconds: float) -> None:
        self._found[_likeness(container)] = set(container.probes), seconds


@pytest.fixture(scope="module")
def shown() -> Shown:
    return Shown()


@pytest.mark.parametrize("deployment", [*OVERLAYS, "compose"])
def test_all_of_it_starts_and_ends(
    deployment: str, ours: Batch, house: House, server: TritonStandIn, shown: Shown
) -> None:
    here = House(house.folder, house.bootstrap, server.address)
    batch = [each for each in ours if each.where.startswith(f"{deployment}/") and not each.once]
    assert batch
    with all_started([each for each in batch if not shown.has(each)], here, deployment) as running:
        for each in running:
            each.wait_ready()
            for port in {probe.port for probe in each.container.probes}:
                metrics = httpx.get(each.url(port, "/metrics"), timeout=10)
                assert metrics.status_code == 200
                assert "vtryon_" in metrics.text
        for each in running:
            shown.add(each.container, each.end())
    assert all(shown.has(each) for each in batch)


def _places(probes: Iterable[Probe]) -> set[tuple[int, str]]:
    return {(probe.port, probe.path) for probe in probes}


def _asked(container: Container) -> set[tuple[int, str]]:
    return _places(container.probes)


def _likeness(container: Container) -> object:
    """The same command with the same settings, but for those that a start does not show."""
    with patch.dict("os.environ", container.environment):
        settings = [kind().model_dump(mode="json", exclude=NOT_SHOWN) for kind in READ[container.image]]
    return (tuple(container.command), json.dumps(settings, sort_keys=True))
