"""Every metric that the dashboard and the alerts ask for is one that the processes expose, with the labels they use."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from types import SimpleNamespace
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry

from orchestrator.config import Config
from orchestrator.counts import Counts
from orchestrator.gateway.http.metrics import Metrics as GatewayMetrics
from shared_utils.telemetry.metrics import DeadLetters, StageMetrics
from shared_utils.transports.kafka.lag import watched_lag

FOLDER = Path(__file__).resolve().parents[2] / "observability"
DASHBOARD = json.loads((FOLDER / "grafana" / "dashboards" / "vtryon.json").read_text())
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())
PROMETHEUS = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
OF_A_TARGET = {"instance", "job"}
"""The labels that Prometheus adds."""
GPU = {"vtryon_gpu_memory_used_bytes", "vtryon_gpu_memory_total_bytes"}


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def questions() -> list[str]:
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return asked + [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]


def parsed(question: str) -> Any:
    return promql_parser.parse(question.replace("$__rate_interval", "1m"))


@pytest.fixture(scope="module")
def exposed() -> dict[str, set[str]]:
    """The names of all series, with their labels, from registries as the processes have them."""
    gateway: Any = SimpleNamespace(
        view=SimpleNamespace(counts=dict, waiting=lambda: 0), follower=SimpleNamespace(lag=lambda: 0), ready=True
    )
    stage, counts = StageMetrics("sampling", lambda: True), Counts(lambda: True)
    DeadLetters(stage)
    with watched_lag(Config(health_port=0, kafka_bootstrap_servers="127.0.0.1:1"), {}, stage):
        registries = [stage.registry, counts.registry, GatewayMetrics(gateway).registry]
        found = dict(series for registry in registries for series in _series(registry))
    return found | {"up": set[str]()} | {name: {"gpu"} for name in GPU}


def _series(registry: CollectorRegistry) -> Iterator[tuple[str, set[str]]]:
    for collector, names in registry._collector_to_names.items():
        families = list(collector.collect())
        labels = set(getattr(collector, "_labelnames", ()))
        labels |= {label for family in families for sample in family.samples for label in sample.labels}
        for name in {*names, *(family.name for family in families)}:
            yield name, labels | ({"le"} if name.endswith("_bucket") else set())


@pytest.mark.parametrize("question", questions())
def test_what_is_asked_is_there(question: str, exposed: dict[str, set[str]]) -> None:
    parsed(question)
    selectors = re.findall(r"\b((?:vtryon|process)_\w+|up\b)(?:\{([^}]*)\})?", question)
    assert selectors
    for name, _ in selectors:
        assert name in exposed, f"no process exposes {name}"
    known = set().union(*(exposed[name] for name, _ in selectors)) | OF_A_TARGET
    used = {label for _, inside in selectors for label in re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\s*\"", inside)}
    grouped = re.findall(r"\b(?:by|on|group_left|group_right)\s*\(([^)]*)\)", question)
    used |= {label.strip() for each in grouped for label in each.split(",") if label.strip()}
    assert used <= known, f"{used - known} are no labels of {[name for name, _ in selectors]}"


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_legend_names_labels_that_are_left(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        grouped = re.findall(r"\b(?:by|on|group_left)\s*\(([^)]*)\)", target["expr"])
        left = {label.strip() for each in grouped for label in each.split(",")}
        assert named <= left, target


def test_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= own
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_dashboard_is_provisioned_with_its_source() -> None:
    provisioning = FOLDER / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in panels()} == {source["uid"]}
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "vtryon.yml").read_text())["providers"]
    compose = yaml.safe_load((FOLDER.parent / "docker-compose.yml").read_text())
    mounted = dict(volume.split(":")[:2] for volume in compose["services"]["grafana"]["volumes"])
    assert mounted["./observability/grafana/dashboards"] == provider["options"]["path"]


def test_prometheus_looks_at_every_service_of_the_compose_file() -> None:
    named = {
        (name, found["port"])
        for job in PROMETHEUS["scrape_configs"]
        for found in job["dns_sd_configs"]
        for name in found["names"]
    }
    stages = {"latent-encoder", "text-encoder", "sampling", "decoding", "worker", "orchestrator"}
    assert named == {(name, 9090) for name in stages} | {("gateway", 8080)}
    compose = yaml.safe_load((FOLDER.parent / "docker-compose.yml").read_text())
    assert {name for name, _ in named} <= compose["services"].keys()


@pytest.mark.skipif(which("promtool") is None, reason="promtool is not on the PATH: Debian's package prometheus has it")
@pytest.mark.parametrize("what", [["config", "prometheus.yml"], ["rules", "alerts.yml"]], ids=lambda what: what[0])
def test_promtool_takes_them(what: list[str]) -> None:
    checked = subprocess.run(["promtool", "check", *what], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
