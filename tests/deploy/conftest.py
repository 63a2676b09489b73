"""What is to be deployed, rendered once: the overlays of k8s/, other ways to put its components together, and the
services of docker-compose.yml."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shared_utils.transports.kafka.apache import ApacheKafka
from tests.deploy import tools
from tests.deploy.containers import Container, of_compose, of_objects
from tests.deploy.rendered import Rendered
from tests.deploy.starting import House, run_once

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = ("demo", "single-gpu", "cluster", "hybrid")
HEAD = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: vtryon
resources: [../../base]
components:
"""
OTHERS = {
    "elsewhere": ["stages", "kafka-elsewhere", "hpa", "gateway-hpa", "monitoring", "secret", "images"],
    "many": ["stages", "strimzi", "keda", "triton", "monitoring", "images"],
}
"""Components that no overlay has, or not together."""
ATTEMPTS = 3
ELSEWHERE = {
    "KAFKA_LISTENERS",
    "KAFKA_ADVERTISED_LISTENERS",
    "KAFKA_CONTROLLER_QUORUM_VOTERS",
    "KAFKA_LOG_DIRS",
    "KAFKA_HEAP_OPTS",
}
"""What is said of Kafka's addresses and folders in a container."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("deploy")


@pytest.fixture(scope="session")
def renders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    """What is sent to a cluster, by the name of the overlay."""
    copy = tmp_path_factory.mktemp("manifests") / "k8s"
    shutil.copytree(ROOT / "k8s", copy)
    shutil.copy(copy / "components/secret/secret.env.example", copy / "components/secret/secret.env")
    for name, components in OTHERS.items():
        folder = copy / "overlays" / name
        folder.mkdir()
        lines = [f"  - ../../components/{component}\n" for component in components]
        (folder / "kustomization.yaml").write_text(HEAD + "".join(lines))
    return {name: Rendered(name, tools.render(copy / "overlays" / name)) for name in (*OVERLAYS, *OTHERS)}


@pytest.fixture(params=[*OVERLAYS, *OTHERS])
def rendered(request: pytest.FixtureRequest, renders: dict[str, Rendered]) -> Rendered:
    return renders[request.param]


@pytest.fixture(scope="session")
def containers(renders: dict[str, Rendered]) -> list[Container]:
    """All that is started anywhere."""
    found = [each for name in OVERLAYS for each in of_objects(renders[name])]
    return [*found, *of_compose(ROOT / "docker-compose.yml")]


@pytest.fixture(scope="session")
def ours(containers: list[Container]) -> list[Container]:
    """Those of vtryon's own images, without Triton's."""
    return [each for each in containers if each.image.startswith("vtryon-") and each.image != "vtryon-triton"]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, containers: list[Container]) -> Iterator[ApacheKafka]:
    """A real one, with the settings that the demo's container has, but for its addresses and folders."""
    (demo,) = [each for each in containers if each.where == "demo/kafka"]
    given = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in demo.environment.items()
        if name.startswith("KAFKA_") and name not in ELSEWHERE
    }
    with ApacheKafka(tmp_path_factory.mktemp("kafka"), properties=given, dies_with_parent=True) as running:
        yield running


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory, kafka: ApacheKafka, containers: list[Container]) -> House:
    """What the demo's own jobs make: the topics, and miniature models."""
    made = House(tmp_path_factory.mktemp("house"), kafka.bootstrap)
    for name in ("models", "data"):
        (made.folder / name).mkdir()
    for where in ("demo/topics", "demo/models"):
        (job,) = [each for each in containers if each.where == where]
        if where == "demo/models":
            # Nobody looks at the pictures here, and these take a fraction of the time.
            job = replace(job, command=[*job.command, "--random"])
        _run_job(job, made, where.replace("/", "-"))
    return made


def _run_job(job: Container, house: House, name: str) -> None:
    """Again if it fails, as its manifest says: a busy Kafka may need longer than the command waits for it."""
    said = ""
    for attempt in range(ATTEMPTS):
        code, said = run_once(job, house, f"{name}-{attempt}")
        if code == 0:
            return
    pytest.fail(f"{job.where} failed {ATTEMPTS} times: {said}")
