"""Everything is what the programs that read it take: Kubernetes, KEDA, Strimzi, the Prometheus operator, Compose."""

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import shared_utils
from tests.deploy import tools
from tests.deploy.containers import compose
from tests.deploy.rendered import Rendered
from tests.deploy.schemas import wrong

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def custom() -> dict[str, Any]:
    return tools.custom_schemas()


def test_what_is_rendered_is_valid(rendered: Rendered, custom: dict[str, Any]) -> None:
    assert [each for thing in rendered.things for each in wrong(thing, custom)] == []


def test_the_schemas_are_strict(renders: dict[str, Rendered], custom: dict[str, Any]) -> None:
    """A check that lets everything pass would be no check."""
    kinds = {thing["kind"]: thing for each in renders.values() for thing in each.things}
    for kind in (
        "Deployment",
        "Job",
        "NetworkPolicy",
        "ScaledObject",
        "Kafka",
        "KafkaNodePool",
        "KafkaTopic",
        "PodMonitor",
    ):
        thing = kinds[kind]
        assert wrong(thing | {"spec": thing["spec"] | {"replicsa": 1}}, custom), kind
        assert wrong({name: value for name, value in thing.items() if name != "spec"} | {"spec": "none"}, custom), kind


def test_nothing_is_there_twice(rendered: Rendered) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered.things]
    assert len(names) == len(set(names))


def test_all_is_in_one_namespace(rendered: Rendered) -> None:
    spaces = {each["metadata"].get("namespace") for each in rendered.things if each["kind"] != "Namespace"}
    assert spaces == {"vtryon"}
    assert rendered.names("Namespace") == {"vtryon"}


def test_images_are_of_this_version(rendered: Rendered) -> None:
    text = str(rendered.things)
    ours = set(re.findall(r"'image': '(vtryon-[^']*)'", text))
    assert ours
    assert all(each.endswith(f":{shared_utils.__version__}") for each in ours), ours
    assert not re.search(r"'image': '[^:']*'", text), "an image without a version"


def test_every_folder_is_rendered_somewhere() -> None:
    """An overlay or a component that nobody renders would rot."""
    from tests.deploy.conftest import OTHERS, OVERLAYS

    assert {each.name for each in (ROOT / "k8s/overlays").iterdir()} == set(OVERLAYS)
    used = {
        name
        for file in (ROOT / "k8s").glob("*/*/kustomization.yaml")
        for name in re.findall(r"^  - \.\./(?:\.\./components/)?([\w-]+)$", file.read_text(), re.MULTILINE)
    }
    assert {each.name for each in (ROOT / "k8s/components").iterdir()} <= used | {
        name for names in OTHERS.values() for name in names
    }


def test_the_compose_file_is_valid() -> None:
    found = Draft202012Validator(tools.compose_schema()).iter_errors(compose(ROOT / "docker-compose.yml"))
    assert [f"{'.'.join(map(str, each.absolute_path))}: {each.message}" for each in found] == []


def test_the_compose_schema_is_strict() -> None:
    given = compose(ROOT / "docker-compose.yml")
    given["services"]["gateway"]["comand"] = []
    assert list(Draft202012Validator(tools.compose_schema()).iter_errors(given))
