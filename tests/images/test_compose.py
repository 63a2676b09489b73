"""docker-compose.yml against the images, and .env.example against it. tests/deploy starts its commands."""

from typing import Any

import pytest
import yaml

from orchestrator.gateway.settings import GatewayConfig
from shared_utils.downloads.settings import DownloadSettings
from shared_utils.transports.kafka.settings import WorkerSettings
from tests.images import files

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(files.COMPOSE.read_text())["services"]
CHOICES = {"demo", "single-gpu", "multi-gpu"}
OURS = {name: service for name, service in SERVICES.items() if "vtryon-" in service["image"]}
GPU_WORKERS = {"latent-encoder", "text-encoder", "sampling", "decoding"}


def started_by(*profiles: str) -> set[str]:
    return {name for name, service in SERVICES.items() if set(service["profiles"]) & set(profiles)}


def test_every_service_is_of_a_profile() -> None:
    """One without would be started with every profile, the demo's too."""
    assert all(service.get("profiles") for service in SERVICES.values())


def test_plain_up_starts_the_four_workers() -> None:
    chosen = files.given_in_env_example()["COMPOSE_PROFILES"]
    assert started_by(chosen) >= GPU_WORKERS
    assert "demo-worker" not in started_by(chosen)


def test_the_demo_needs_no_gpu_and_downloads_no_weights() -> None:
    started = started_by("demo")
    assert started == {"kafka", "topics", "demo-models", "demo-worker", "orchestrator", "gateway"}
    for name in started:
        assert "deploy" not in SERVICES[name]
        assert "download" not in SERVICES[name].get("command", [])


def test_the_workers_of_gpus_have_one() -> None:
    for name in (*GPU_WORKERS, "worker"):
        [device] = SERVICES[name]["deploy"]["resources"]["reservations"]["devices"]
        assert device["driver"] == "nvidia"
        assert device["capabilities"] == ["gpu"]


@pytest.mark.parametrize("choice", sorted(CHOICES))
def test_whoever_is_waited_for_is_started_too(choice: str) -> None:
    for name in started_by(choice):
        waited_for = SERVICES[name].get("depends_on", {})
        assert set(waited_for) <= started_by(choice)
        for other, how in waited_for.items():
            job = SERVICES[other]["restart"].startswith("on-failure")
            assert how["condition"] == ("service_completed_successfully" if job else "service_healthy")


def test_containers_can_do_no_more_than_they_must() -> None:
    for name, service in SERVICES.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["logging"]["options"]["max-size"], name
        assert service["restart"], name
    for name, service in OURS.items():
        assert service["read_only"] is True, name


def test_ports_are_this_machines_only() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert port.startswith("${VTRYON_ADDRESS:-127.0.0.1}:"), name


def test_a_job_in_hand_has_time_to_end() -> None:
    given = files.given_in_env_example()
    assert float(given["VTRYON_STOP_GRACE"].removesuffix("s")) >= float(given["KAFKA_DRAIN_SECONDS"]) + 20


def test_images_are_those_of_the_dockerfiles() -> None:
    names = {path.parent.name: path for path in (*files.ON_BASE, files.ORCHESTRATOR)}
    titles = {folder: next(v for v in files.values(path, "LABEL") if ".title=" in v) for folder, path in names.items()}
    for service in OURS.values():
        dockerfile = service.get("build", {}).get("dockerfile", "")
        if folder := dockerfile.removesuffix("/Dockerfile") if "/" in dockerfile else "":
            image = service["image"].removeprefix("${VTRYON_REGISTRY:-}").partition(":")[0]
            assert f'title="{image}"' in titles[folder]
    built = {service["build"]["dockerfile"] for service in OURS.values() if "build" in service}
    assert built == {"Dockerfile.base", *(f"{folder}/Dockerfile" for folder in names)}


def test_env_example_has_every_variable_with_its_default() -> None:
    given = files.given_in_env_example()
    read = files.read_by_compose()
    assert set(read) == set(given) - {"COMPOSE_PROFILES"}
    for name, defaults in read.items():
        assert defaults == {given[name]}, name


def test_env_example_agrees_with_the_settings() -> None:
    """A folder's .env is read by commands started in it too: a default there must not be another than without it."""
    settings: dict[str, Any] = {}
    for kind in (WorkerSettings, GatewayConfig, DownloadSettings):
        settings |= {name.upper(): field.default for name, field in kind.model_fields.items()}
    for name, value in files.given_in_env_example().items():
        if name.startswith(("VTRYON_", "COMPOSE_")) or name == "TORCH_INDEX_URL":
            continue
        assert name in settings, f"{name} is no setting"
        default = settings[name]
        written = f"{default:g}" if isinstance(default, float) else str(default)
        assert value in ("", written), f"{name}={value}, and without it {written}"


def test_containers_are_given_settings_that_there_are() -> None:
    known = {name.upper() for kind in (WorkerSettings, GatewayConfig, DownloadSettings) for name in kind.model_fields}
    of_the_c_library = {"MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_"}
    for name, service in OURS.items():
        assert set(service.get("environment", {})) <= known | of_the_c_library, name
