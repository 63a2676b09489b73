"""`make test-images`: builds the images, starts the profile `demo` of docker-compose.yml as containers, asks for one
try-on through its gateway, stops everything, and looks at how each container ended. The picture is then
out/images/tryon.png.

It uses the Docker engine that answers, or starts one of its own as root; where no registry can be reached, it makes
stand-ins for the images that others publish. What it made is removed when it ends.

  BASE_IMAGE   an image that stands in for those of CUDA and of Python: Debian or Ubuntu with Python 3.11 to 3.13
  KEEP=1       leave the images where they are, if the engine is not the test's own
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker_engine import CommandFailedError, Docker, MissingError, engine
from PIL import Image
from stand_in_images import make_base, make_kafka

from shared_utils.errors import VtryonError
from shared_utils.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "out" / "images"
TAG = "test-images"
PROJECT = "vtryon-test-images"
SERVICES = ("latent-encoder", "text-encoder", "sampling", "decoding", "worker", "orchestrator")
START_SECONDS = 600
NAMED_CONTEXTS = 23
"""From this version of Docker on, Compose can say which image another one is built on."""
PUBLISHED = {"VTRYON_PYTHON_IMAGE": "python:3.12-slim-bookworm", "VTRYON_KAFKA_IMAGE": "apache/kafka:4.1.0"}
"""What the demo needs of others, under the names that docker-compose.yml reads. No GPU, so no CUDA."""
SIGTERM_OF_JAVA = 143
ENDS_WITH = {"kafka": {0, SIGTERM_OF_JAVA}}
"""The exit codes of a good end, where they are not just 0."""


@dataclass(frozen=True)
class Compose:
    """`docker compose` on this project, with settings of the test's own."""

    docker: Docker
    settings: Path

    def __call__(self, *arguments: str, profiles: tuple[str, ...] = ("demo",), seconds: float = 3600) -> None:
        self.docker.shown(*self._command(profiles), *arguments, seconds=seconds)

    def read(self, *arguments: str) -> str:
        return self.docker(*self._command(("demo",)), *arguments)

    def containers(self) -> dict[str, str]:
        """The container of each service, those that have ended too."""
        listed = self.read("ps", "--all", "--format", "{{.Service}} {{.ID}}")
        return dict(line.split() for line in listed.splitlines())

    def _command(self, profiles: tuple[str, ...]) -> list[str]:
        chosen = [word for profile in profiles for word in ("--profile", profile)]
        files = ["--file", str(ROOT / "docker-compose.yml"), "--env-file", str(self.settings)]
        return ["compose", "--project-name", PROJECT, *files, *chosen]


def main() -> int:
    started = time.monotonic()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="vtryon-images-") as work, engine(Path(work)) as docker:
            test(docker, Path(work))
    except (MissingError, CommandFailedError) as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1
    except VtryonError as failed:
        print(f"\n{failed.message}", file=sys.stderr)
        return 1
    print(f"\n== all well, after {(time.monotonic() - started) / 60:.1f} minutes", flush=True)
    return 0


def test(docker: Docker, work: Path) -> None:
    port = free_port()
    settings = {"VTRYON_VERSION": TAG, "VTRYON_HTTP_PORT": str(port), "VTRYON_GRPC_PORT": str(free_port())}
    made = provide_images(docker, work)
    written = work / "settings.env"
    written.write_text("".join(f"{name}={value}\n" for name, value in (settings | made).items()))
    compose = Compose(docker, written)
    with removed_afterwards(compose):
        build(compose, settings | made)
        for service in SERVICES:
            look_at(docker, service)
        print("== starting the profile demo", flush=True)
        compose("up", "--no-build", "--detach", "--wait", "--wait-timeout", str(START_SECONDS))
        compose("ps", "--all")
        ask_for_a_tryon(port)
        stop(compose)


def provide_images(docker: Docker, work: Path) -> dict[str, str]:
    """Which images stand for those that others publish; nothing where these can be had."""
    base = os.environ.get("BASE_IMAGE")
    if base is None and all(docker.can_pull(image) for image in PUBLISHED.values()):
        return {"VTRYON_CUDA_IMAGE": PUBLISHED["VTRYON_PYTHON_IMAGE"]}
    kafka = f"vtryon-stand-in-kafka:{TAG}"
    if base is None:
        base = f"vtryon-stand-in-base:{TAG}"
        make_base(docker, work, base)
    make_kafka(docker, work, base, kafka)
    return {"VTRYON_CUDA_IMAGE": base, "VTRYON_PYTHON_IMAGE": base, "VTRYON_KAFKA_IMAGE": kafka}


def build(compose: Compose, settings: dict[str, str]) -> None:
    """As Compose does; one by one where the engine is too old to build one image on another in one go."""
    print("== building the images; the first time PyTorch is downloaded, some 3 GB", flush=True)
    version = compose.docker("version", "--format", "{{.Server.Version}}")
    if int(version.partition(".")[0]) >= NAMED_CONTEXTS:
        compose("--progress", "plain", "build", "--quiet", profiles=("demo", "single-gpu", "multi-gpu"))
        return
    print(f"Docker {version} is older than {NAMED_CONTEXTS}: with `docker build`, not with Compose", flush=True)
    stages = f"vtryon-stages:{TAG}"
    build_one(compose.docker, "Dockerfile.base", stages, BASE_IMAGE=settings["VTRYON_CUDA_IMAGE"])
    for service in SERVICES:
        folder = {"worker": "shared_utils"}.get(service, service.replace("-", "_"))
        on = {"BASE_IMAGE": settings["VTRYON_PYTHON_IMAGE"]} if folder == "orchestrator" else {"STAGES_IMAGE": stages}
        build_one(compose.docker, f"{folder}/Dockerfile", f"vtryon-{service}:{TAG}", VERSION=TAG, **on)


def build_one(docker: Docker, dockerfile: str, image: str, **arguments: str) -> None:
    started = time.monotonic()
    given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    said = docker("build", "--file", str(ROOT / dockerfile), "--tag", image, *given, str(ROOT), seconds=3600)
    (OUTPUT / f"{image.partition(':')[0]}.log").write_text(said)
    print(f"{image}: built in {time.monotonic() - started:.0f} s", flush=True)


@contextmanager
def removed_afterwards(compose: Compose) -> Iterator[None]:
    """Containers, volumes, network and images; and before that, if something failed, what the containers said."""
    try:
        yield
    except BaseException:
        (OUTPUT / "containers.log").write_text(compose.read("logs", "--no-color", "--timestamps"))
        print(f"\n== what the containers said is in {OUTPUT / 'containers.log'}", file=sys.stderr)
        raise
    finally:
        print("== removing what was made", flush=True)
        compose("down", "--volumes", "--remove-orphans", profiles=("*",))
        if "KEEP" not in os.environ:
            remove_images(compose.docker)


def remove_images(docker: Docker) -> None:
    """By their names: one that others are built on loses its own, and goes with the last of them."""
    named = docker("image", "ls", "--filter", f"reference=vtryon-*:{TAG}", "--format", "{{.Repository}}:{{.Tag}}")
    if named:
        docker("image", "rm", *named.split())


def look_at(docker: Docker, service: str) -> None:
    """What an image must be, whatever is run of it."""
    image = f"vtryon-{service}:{TAG}"
    [found] = json.loads(docker("image", "inspect", image))
    config = found["Config"]
    check(config["User"] == "10001:10001", f"{image} runs as {config['User']!r}")
    check(config["Entrypoint"][:2] == ["python", "-m"], f"{image} starts with {config['Entrypoint']}")
    check("Healthcheck" in config, f"{image} has no health check")
    check(config["Labels"]["org.opencontainers.image.version"] == TAG, f"{image} does not say its version")
    run = ["run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]  # noqa: S108
    # The trained miniatures' are part of the code.
    weights = ["-size", "+1M", "-name", "*.safetensors", "-not", "-path", "*/shared_utils/comfy/trained/*"]
    found_weights = docker(*run, "--entrypoint", "find", image, "/opt", "/models", *weights)
    check(not found_weights, f"{image} has weights in it: {found_weights}")
    docker(*run, image, "--help")
    print(f"{image}: {found['Size'] / 1e9:.2f} GB, starts, has no real models", flush=True)


def ask_for_a_tryon(port: int) -> None:
    """As a person would; the picture comes back through the gateway."""
    print("== asking for a try-on", flush=True)
    shutil.rmtree(OUTPUT / "got", ignore_errors=True)
    pictures = ["--person", "examples/person_masked.png", "--garment", "examples/garment.png"]
    given = ["--megapixels", "0.25", "--seed", "7", "--watch", "--output", str(OUTPUT / "got")]
    command = [sys.executable, "-m", "orchestrator.cli.main", "submit", "--server", f"http://127.0.0.1:{port}"]
    subprocess.run([*command, *pictures, *given], check=True, cwd=ROOT, timeout=START_SECONDS)
    [came] = (OUTPUT / "got").glob("*.png")
    with Image.open(came) as picture:
        picture.load()
        check(picture.width * picture.height > 200_000, f"{came} is {picture.width} x {picture.height}")
        shades = len(picture.convert("L").getcolors() or ())
    check(shades > 50, f"{came} has {shades} shades")
    came.rename(OUTPUT / "tryon.png")
    print(f"the picture is {OUTPUT / 'tryon.png'}", flush=True)


def stop(compose: Compose) -> None:
    """Each container, with SIGTERM, and in its time: Docker kills what overruns it, which shows as 137."""
    print("== stopping", flush=True)
    services: dict[str, Any] = json.loads(compose.read("config", "--format", "json"))["services"]
    containers = compose.containers()
    check(set(containers) == set(services), f"there are {sorted(containers)}, not {sorted(services)}")
    compose("stop")
    wrong = []
    for service, container in sorted(containers.items()):
        [found] = json.loads(compose.docker("inspect", container))
        state = found["State"]
        print(f"{service}: ended with {state['ExitCode']}, restarted {found['RestartCount']} times", flush=True)
        if state["ExitCode"] not in ENDS_WITH.get(service, {0}) or state["OOMKilled"] or found["RestartCount"]:
            wrong.append(service)
    check(not wrong, f"did not end as it should: {', '.join(wrong)}")


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise CommandFailedError(otherwise)


if __name__ == "__main__":
    sys.exit(main())
