"""What the manifests say about the product is so: its settings, commands, ports, folders and times."""

import pytest
from pydantic import ValidationError

from decoding.service import Decoding
from latent_encoder.service import LatentEncoder
from orchestrator.gateway.settings import GatewayConfig
from sampling.service import Sampling
from shared_utils.settings import Settings
from shared_utils.transports.kafka.settings import KafkaSettings, WorkerSettings
from shared_utils.transports.triton.settings import TritonSettings
from tests.deploy.containers import DOCKERFILES, Container, image_of
from tests.deploy.rendered import Rendered, pod
from text_encoder.service import TextEncoder

STAGES = (LatentEncoder, TextEncoder, Sampling, Decoding)
READ: dict[str, tuple[type[Settings], ...]] = {
    **{f"vtryon-{each.name.replace('_', '-')}": (each.options_type, WorkerSettings, TritonSettings) for each in STAGES},
    "vtryon-worker": (*(each.options_type for each in STAGES), WorkerSettings, TritonSettings),
    "vtryon-stages": (Settings, KafkaSettings),
    "vtryon-orchestrator": (GatewayConfig,),
    "vtryon-triton": tuple(each.options_type for each in STAGES),
}
"""By image: what its processes are set by."""
KNOWN = {name.upper() for kinds in READ.values() for kind in kinds for name in kind.model_fields}
FROM_THE_ENVIRONMENT = {"VTRYON_CACHE", "HF_TOKEN", "HF_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}
"""Read elsewhere than by a settings class: docs/SETTINGS.md has them."""
NOT_OURS = {
    "PATH",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONFAULTHANDLER",
    "PYTHONUNBUFFERED",
    "MALLOC_ARENA_MAX",
    "MALLOC_MMAP_MAX_",
    "MALLOC_TRIM_THRESHOLD_",
}
NEEDED = {
    "worker": {"KAFKA_BOOTSTRAP_SERVERS", "MODEL_DIR", "OUTPUT_DIR", "STORAGE_ROOTS", "HEALTH_HOST", "HEALTH_PORT"},
    "orchestrator": {"KAFKA_BOOTSTRAP_SERVERS", "INTERMEDIATE_DIR", "OUTPUT_DIR", "HEALTH_HOST", "HEALTH_PORT"},
    "gateway": {"KAFKA_BOOTSTRAP_SERVERS", "GATEWAY_HOST", "GATEWAY_UPLOAD_DIR", "OUTPUT_DIR", "STORAGE_ROOTS"},
    "topics": {"KAFKA_BOOTSTRAP_SERVERS"},
    "models": {"MODEL_DIR"},
}


def role(container: Container) -> str:
    if container.once:
        return container.command[1]
    if container.command[:3] == ["python", "-m", "orchestrator"]:
        return "gateway" if "gateway" in container.command else "orchestrator"
    return "worker"


def test_every_variable_is_one_of_the_product(ours: list[Container]) -> None:
    for container in ours:
        assert container.environment.keys() <= KNOWN | FROM_THE_ENVIRONMENT | NOT_OURS, container.where


def test_every_value_is_one_that_the_product_takes(ours: list[Container], monkeypatch: pytest.MonkeyPatch) -> None:
    for container in ours:
        with monkeypatch.context() as patch:
            for name, value in container.environment.items():
                patch.setenv(name, value)
            for kind in READ[container.image]:
                try:
                    kind()
                except ValidationError as wrong:
                    pytest.fail(f"{container.where}: {wrong}")


def test_what_a_container_needs_is_given(ours: list[Container]) -> None:
    for container in ours:
        missing = {name for name in NEEDED[role(container)] if not container.environment.get(name)}
        if container.command[:3] == ["vtryon", "models", "miniature"]:
            missing.discard("MODEL_DIR")
        assert not missing, container.where


def test_names_of_the_example_of_a_secret_are_known(renders: dict[str, Rendered]) -> None:
    secret = renders["elsewhere"].named("Secret", "vtryon")
    assert secret is not None
    assert secret["data"].keys() <= KNOWN | FROM_THE_ENVIRONMENT
    assert set(secret["data"].values()) == {""}, "an example has no value that somebody might leave as it is"


def test_commands_are_those_of_the_images(ours: list[Container]) -> None:
    for container in ours:
        entrypoint = image_of(container.image).entrypoint
        if not container.once:
            assert container.command[: len(entrypoint)] == entrypoint, container.where


def test_images_run_as_the_user_of_the_manifests() -> None:
    for name in DOCKERFILES:
        assert image_of(name).user.split(":")[0] == "10001", name


def test_ports_are_those_that_the_settings_say(ours: list[Container]) -> None:
    for container in ours:
        said = {
            int(container.environment[name])
            for name in ("HEALTH_PORT", "GATEWAY_PORT", "GATEWAY_GRPC_PORT")
            if name in container.environment
        } | {8080, 50050, 9090}
        assert set(container.ports.values()) <= said, container.where
        for probe in container.probes:
            expected = container.environment["GATEWAY_PORT" if role(container) == "gateway" else "HEALTH_PORT"]
            assert probe.port == int(expected), container.where
            assert probe.path in ("/health/live", "/health/ready")
        assert container.once or container.probes, container.where


def test_folders_are_mounted_where_the_settings_say(ours: list[Container]) -> None:
    for container in ours:
        if container.image == "vtryon-triton":
            continue
        writes = {"worker": ["/data"], "orchestrator": ["/data"], "gateway": ["/data"], "models": ["/models"]}
        for path in writes.get(role(container), []):
            assert container.mounts[path], container.where
        if role(container) == "worker":
            assert container.mounts["/models"] is False, container.where
        for name in ("OUTPUT_DIR", "INTERMEDIATE_DIR", "GATEWAY_UPLOAD_DIR"):
            assert container.environment.get(name, "/data/").startswith("/data/")


def test_there_is_time_to_finish(ours: list[Container]) -> None:
    """What a worker stops at the end of its drain still has to be handed back."""
    for container in ours:
        if container.once:
            continue
        drain = float(container.environment.get("KAFKA_DRAIN_SECONDS", 60)) if role(container) == "worker" else 0
        assert container.grace >= drain + 30, container.where


def test_the_gateway_is_taken_out_before_it_is_told_to_end(rendered: Rendered) -> None:
    gateway = rendered.named("Deployment", "gateway")
    assert gateway is not None
    (container,) = pod(gateway)["containers"]
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] >= 5
