"""Starts a container's command here, as a process with that container's environment and no other.

What can't be the same is put in its place: folders lie in a temporary one, the Kafka and the Triton are those of the
test, ports are free ones of this machine alone, and a GPU is its CPU.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from shared_utils.children import ending_with_us
from shared_utils.ports import LOOPBACK, free_port
from shared_utils.settings import cache_dir
from tests.deploy.containers import Container, Probe
from tests.kafka.support import ROOT, until

PATIENCE = 240.0
PORTS = ("HEALTH_PORT", "GATEWAY_PORT", "GATEWAY_GRPC_PORT")


@dataclass(frozen=True)
class House:
    """What containers find around them."""

    folder: Path
    """Has `models` and `data`, which all of them see."""
    bootstrap: str
    triton: str = ""

    def path(self, text: str) -> str:
        """A value with the folders of a container, as it is here."""
        return re.sub(r"(?<![\w.])/(models|data)\b", rf"{self.folder}/\1", text)


@dataclass
class Started:
    container: Container
    process: subprocess.Popen[bytes]
    log: Path
    ports: dict[int, int]
    """By the port in the container."""

    def url(self, port: int, path: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[port]}{path}"

    def ask(self, probe: Probe) -> httpx.Response | None:
        """What the probe is answered; None while nobody listens."""
        assert self.process.poll() is None, f"{self.container.where} ended with {self.process.poll()}:\n{self.said()}"
        try:
            return httpx.get(self.url(probe.port, probe.path), timeout=10)
        except httpx.TransportError:
            return None

    def says_yes(self, probe: Probe) -> bool:
        answer = self.ask(probe)
        return answer is not None and answer.status_code == 200

    def wait_ready(self) -> None:
        """Until every probe says yes."""
        for probe in self.container.probes:
            until(partial(self.says_yes, probe), f"{self.container.where} answers {probe}: {self.log}", PATIENCE)

    def tell_to_end(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> float:
        """The seconds it took after SIGTERM, which must be fewer than the manifest gives it."""
        before = time.monotonic()
        self.tell_to_end()
        return self.wait_ended(before)

    def wait_ended(self, since: float) -> float:
        try:
            code = self.process.wait(self.container.grace)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.container.where} was not done in its grace period:\n{self.said()}") from None
        assert code == 0, f"{self.container.where} ended with {code}:\n{self.said()}"
        return time.monotonic() - since

    def said(self) -> str:
        return self.log.read_text()[-4000:]


@contextmanager
def started(container: Container, house: House, name: str) -> Iterator[Started]:
    home = house.folder / name
    home.mkdir()
    ports = {int(container.environment[port]): free_port() for port in PORTS if container.environment.get(port)}
    for probe in container.probes:
        assert probe.port in ports, f"{container.where}: nothing is told to listen on {probe.port}"
    log = home / "log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            ending_with_us(_command(container, house)),
            cwd=home,
            env=_environment(container, house, home, ports),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Started(container, process, log, ports)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@contextmanager
def all_started(containers: Sequence[Container], house: House, prefix: str) -> Iterator[list[Started]]:
    """Side by side, as they would be."""
    with ExitStack() as stack:
        names = [f"{prefix}-{number}" for number in range(len(containers))]
        yield [stack.enter_context(started(each, house, name)) for each, name in zip(containers, names, strict=True)]


def run_once(container: Container, house: House, name: str, **environment: str) -> tuple[int, str]:
    """Of a job: its exit code, and what it said."""
    home = house.folder / name
    home.mkdir()
    done = subprocess.run(
        _command(container, house),
        check=False,
        cwd=home,
        env=_environment(container, house, home, {}) | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    return done.returncode, done.stdout


def _command(container: Container, house: House) -> list[str]:
    """With the programs that the image has on its PATH."""
    program, *rest = container.command
    assert program in ("python", "vtryon"), f"{container.where} begins with {program}"
    return [str(Path(sys.executable).with_name(program)), *(house.path(each) for each in rest)]


def _environment(container: Container, house: House, home: Path, ports: dict[int, int]) -> dict[str, str]:
    given = {name: house.path(value) for name, value in container.environment.items()}
    for name in PORTS:
        if given.get(name):
            given[name] = str(ports.get(int(given[name]), free_port()))
    here = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        # The one with ComfyUI in it, as in the image.
        "VTRYON_CACHE": str(cache_dir()),
    }
    replaced = {
        "KAFKA_BOOTSTRAP_SERVERS": house.bootstrap,
        "HEALTH_HOST": LOOPBACK,
        "GATEWAY_HOST": LOOPBACK,
        "TRITON_URL": house.triton,
        "COMFYUI_DEVICE": "cpu",
    }
    return given | here | {name: value for name, value in replaced.items() if name in given}
