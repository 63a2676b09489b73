"""Containers as a process sees them: command, environment, ports, probes, whoever starts them."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.rendered import Rendered, pod

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = {
    "vtryon-latent-encoder": "latent_encoder/Dockerfile",
    "vtryon-text-encoder": "text_encoder/Dockerfile",
    "vtryon-sampling": "sampling/Dockerfile",
    "vtryon-decoding": "decoding/Dockerfile",
    "vtryon-worker": "shared_utils/Dockerfile",
    "vtryon-orchestrator": "orchestrator/Dockerfile",
    "vtryon-stages": "Dockerfile.base",
    "vtryon-triton": "Dockerfile.triton",
}


@dataclass(frozen=True)
class Probe:
    kind: str
    port: int
    path: str


@dataclass(frozen=True)
class Image:
    """What a Dockerfile says of its containers."""

    entrypoint: list[str]
    command: list[str]
    environment: dict[str, str]
    user: str
    health: list[Probe]


@dataclass(frozen=True)
class Container:
    where: str
    """Which deployment, and its name there."""
    image: str
    command: list[str]
    environment: dict[str, str]
    """The image's own and what is given."""
    given: dict[str, str] = field(repr=False)
    ports: dict[str, int]
    probes: list[Probe]
    grace: float
    mounts: dict[str, bool]
    """By path; whether it can be written."""

    @property
    def once(self) -> bool:
        """Whether it does something and ends."""
        return self.command[0] == "vtryon"


# ---- Kubernetes


def of_objects(rendered: Rendered) -> Iterator[Container]:
    for workload in rendered.workloads():
        for container in pod(workload)["containers"]:
            yield _of_pod(rendered, workload, container)


def _of_pod(rendered: Rendered, workload: Any, container: Any) -> Container:
    name = container["image"].rpartition(":")[0]
    image = image_of(name)
    given = _environment(rendered, workload, container)
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    started = container.get("command") or image.entrypoint
    rest = container.get("args", [] if container.get("command") else image.command)
    return Container(
        where=f"{rendered.name}/{workload['metadata']['name']}",
        image=name,
        command=[*started, *rest],
        environment=image.environment | given,
        given=given,
        ports=ports,
        probes=list(_probes(container, ports)),
        grace=float(pod(workload).get("terminationGracePeriodSeconds", 30)),
        mounts={each["mountPath"]: not each.get("readOnly", False) for each in container.get("volumeMounts", [])},
    )


def _environment(rendered: Rendered, workload: Any, container: Any) -> dict[str, str]:
    given: dict[str, str] = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            found = rendered.named("ConfigMap", source["configMapRef"]["name"])
            assert found is not None, source
            given |= found["data"]
    for variable in container.get("env", []):
        given[variable["name"]] = variable.get("value", f"{workload['metadata']['name']}-x7k2p")
    return given


def _probes(container: Any, ports: Mapping[str, int]) -> Iterator[Probe]:
    for kind in ("startup", "readiness", "liveness"):
        asked = container.get(f"{kind}Probe")
        if asked and "httpGet" in asked:
            port = asked["httpGet"]["port"]
            yield Probe(kind, ports.get(port, port), asked["httpGet"]["path"])


# ---- Compose


def of_compose(file: Path) -> Iterator[Container]:
    for name, service in compose(file)["services"].items():
        image_name = service["image"].rpartition(":")[0]
        if not image_name.startswith("vtryon-"):
            continue
        image = image_of(image_name)
        given = {key: "" if value is None else str(value) for key, value in service.get("environment", {}).items()}
        healthy = service.get("healthcheck", {})
        published = [str(each).rpartition(":")[2] for each in service.get("ports", [])]
        yield Container(
            where=f"compose/{name}",
            image=image_name,
            command=[*service.get("entrypoint", image.entrypoint), *service.get("command", image.command)],
            environment=image.environment | given,
            given=given,
            ports={port: int(port) for port in published},
            probes=_asked(healthy["test"]) if "test" in healthy else [] if healthy.get("disable") else image.health,
            grace=float(str(service.get("stop_grace_period", "10s")).removesuffix("s")),
            mounts={each.split(":")[1]: not each.endswith(":ro") for each in service.get("volumes", [])},
        )


def compose(file: Path) -> Any:
    """The file as Compose reads it, with nothing in the environment."""
    return _interpolated(yaml.safe_load(file.read_text()))


def _interpolated(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _interpolated(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_interpolated(each) for each in value]
    if isinstance(value, str):
        return re.sub(r"\$\{\w+(?::?-([^}]*))?\}", lambda found: found[1] or "", value).replace("$$", "$")
    return value


# ---- Dockerfiles


@cache
def image_of(name: str) -> Image:
    """Nothing, of others' images."""
    if name not in DOCKERFILES:
        return Image([], [], {}, "", [])
    lines = _instructions(ROOT / DOCKERFILES[name])
    parent = next(rest for word, rest in reversed(lines) if word == "FROM")
    below = image_of("vtryon-stages") if "STAGES_IMAGE" in parent else Image([], [], {}, "", [])
    said = dict(lines)
    environment = {
        key: value
        for word, rest in lines
        if word == "ENV"
        for key, _, value in (each.partition("=") for each in shlex.split(rest))
    }
    health = said.get("HEALTHCHECK", "").partition("CMD ")[2]
    return Image(
        entrypoint=json.loads(said.get("ENTRYPOINT", "[]")),
        command=json.loads(said.get("CMD", "[]")),
        environment=below.environment | environment,
        user=said.get("USER", below.user),
        health=_asked(["CMD", *json.loads(health)]) if health else below.health,
    )


def _instructions(file: Path) -> list[tuple[str, str]]:
    text = re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    words = (line.partition(" ") for line in text.splitlines() if line.strip())
    return [(word, rest.strip()) for word, _, rest in words]


def _asked(test: list[str]) -> list[Probe]:
    """What a health check calls."""
    found = re.search(r"http://127\.0\.0\.1:(\d+)(/[\w/]+)", " ".join(test))
    return [Probe("health check", int(found[1]), found[2])] if found else []
