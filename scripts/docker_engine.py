"""A Docker engine for `make test-images`: the one that answers, or one that is started for it and ended with it."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

COMPOSE = "github.com/docker/compose/v2@v2.40.3"
START_SECONDS = 60
STOP_SECONDS = 120
BUILD_SECONDS = 1800


class MissingError(Exception):
    """Something is not installed; the message says what, and how to get it."""


class CommandFailedError(Exception):
    """A command of Docker did not do what it should."""


@dataclass(frozen=True)
class Docker:
    """The docker command, and what it needs in its environment."""

    environment: dict[str, str]

    def __call__(self, *arguments: str, seconds: float = 600) -> str:
        """What it printed."""
        done = self._run(arguments, seconds, stdout=subprocess.PIPE)
        return str(done.stdout).strip()

    def shown(self, *arguments: str, seconds: float = 1800) -> None:
        """What it prints goes to whoever watches."""
        self._run(arguments, seconds, stdout=None)

    def can_pull(self, image: str) -> bool:
        asked = subprocess.run(
            ["docker", "pull", "--quiet", image], env=self.environment, check=False, capture_output=True, timeout=1800
        )
        return asked.returncode == 0

    def _run(self, arguments: tuple[str, ...], seconds: float, stdout: int | None) -> subprocess.CompletedProcess[str]:
        command = ["docker", *arguments]
        done = subprocess.run(
            command, env=self.environment, check=False, timeout=seconds, stdout=stdout, text=True, errors="replace"
        )
        if done.returncode != 0:
            raise CommandFailedError(f"`{' '.join(command)}` ended with {done.returncode}")
        return done


@contextmanager
def engine(work: Path) -> Iterator[Docker]:
    """The engine that answers; else a private one, whose socket and images are in `work`."""
    _need("docker", "docker.io (Debian, Ubuntu), or Docker Engine from Docker's own packages")
    environment = dict(os.environ)
    if _answers(environment):
        yield Docker(_with_compose(environment, work))
        return
    if os.geteuid() != 0:
        raise MissingError("No Docker engine answers. Start it, name it in DOCKER_HOST, or run this as root.")
    _need("dockerd", "docker.io and iptables (Debian, Ubuntu), or Docker Engine from Docker's own packages")
    _need("iptables", "iptables")
    environment["DOCKER_HOST"] = f"unix://{work}/docker.sock"
    with _private_engine(work, environment):
        yield Docker(_with_compose(environment, work))


@contextmanager
def _private_engine(work: Path, environment: dict[str, str]) -> Iterator[None]:
    """Ended, and its images with it, when the test is over."""
    print(f"== no Docker engine answers: starting one for this test, in {work}", flush=True)
    folders = ["--data-root", f"{work}/data", "--exec-root", f"{work}/exec", "--pidfile", f"{work}/docker.pid"]
    with (work / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(
            ["dockerd", "--host", environment["DOCKER_HOST"], *folders], stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_for(process, environment, work / "dockerd.log")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS)
        shutil.rmtree(work / "data", ignore_errors=True)


def _wait_for(process: subprocess.Popen[bytes], environment: dict[str, str], log: Path) -> None:
    for _ in range(START_SECONDS):
        if _answers(environment):
            return
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            continue
        break
    last = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
    raise MissingError(f"dockerd does not run on this machine. The end of {log}:\n{last}")


def _answers(environment: dict[str, str]) -> bool:
    ask = ["docker", "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(ask, env=environment, check=False, capture_output=True, timeout=60).returncode == 0


def _with_compose(environment: dict[str, str], work: Path) -> dict[str, str]:
    """Docker Compose as it is installed; else built from its source, for this test, where there is Go."""
    ask = ["docker", "compose", "version"]
    if subprocess.run(ask, env=environment, check=False, capture_output=True, timeout=60).returncode == 0:
        return environment
    _need(
        "go", "docker-compose-v2 (Ubuntu), docker-compose-plugin (Docker's own packages), or Go, which then builds it"
    )
    plugin = work / "config" / "cli-plugins" / "docker-compose"
    if not plugin.is_file():
        print("== no Docker Compose: building it from its source with Go; some minutes the first time", flush=True)
        _build_compose(plugin)
    return environment | {"DOCKER_CONFIG": str(work / "config")}


def _build_compose(plugin: Path) -> None:
    asked = subprocess.run(
        ["go", "mod", "download", "-json", COMPOSE], check=True, capture_output=True, text=True, timeout=BUILD_SECONDS
    )
    downloaded = next(line.split('"')[3] for line in asked.stdout.splitlines() if '"Dir"' in line)
    source = plugin.parent / "source"
    # Go's own copy is read-only; whoever builds in a copy of it may write the checksums that are missing.
    shutil.copytree(downloaded, source, copy_function=shutil.copyfile, dirs_exist_ok=True)
    name = COMPOSE.partition("@")[0]
    version = f"-s -w -X {name}/internal.Version={COMPOSE.partition('@')[2]}"
    subprocess.run(
        ["go", "build", "-mod=mod", "-trimpath", "-ldflags", version, "-o", str(plugin), "./cmd"],
        cwd=source,
        env=os.environ | {"CGO_ENABLED": "0"},
        check=True,
        timeout=BUILD_SECONDS,
    )
    shutil.rmtree(source)


def _need(command: str, packages: str) -> None:
    if shutil.which(command) is None:
        raise MissingError(f"The command {command} is missing. Install {packages}, and try again.")
