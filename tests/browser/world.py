"""What the page talks to: a broker in memory, the real four stages on miniature models in one process, an engine and
gateways, each a process of its own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from shared_utils.ports import LOOPBACK, free_port
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.topics import STAGES
from tests.kafka.support import Process, connection, environment, until

PARTS = ("-m", "orchestrator", "--mode")
MEGAPIXELS = 0.05
TAKES_UP = 2
"""Try-ons that are under way at once; the others wait in line."""


@dataclass
class Gateway:
    """A gateway that can go away and come back at the same address."""

    settings: dict[str, Any]
    log: Path
    port: int = field(default_factory=free_port)
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        settings = self.settings | {"gateway_port": self.port, "gateway_grpc_port": 0}
        process = self._running.enter_context(Process(*PARTS, "gateway", env=environment(settings), log=self.log))
        process.wait_for("the gateway listens on")
        until(self._ready, f"{self.url} is ready; see {self.log}")

    def stop(self) -> None:
        self._running.close()

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready", trust_env=False).is_success
        except httpx.TransportError:
            return False


@dataclass(frozen=True)
class World:
    settings: dict[str, Any]
    folder: Path
    gateway: Gateway

    @contextmanager
    def other_gateway(self, name: str, **settings: Any) -> Iterator[Gateway]:
        """One more on the same Kafka, with settings of its own."""
        gateway = Gateway(self.settings | settings, self.folder / f"{name}.log")
        gateway.start()
        try:
            yield gateway
        finally:
            gateway.stop()


@contextmanager
def running_world(folder: Path, model_dir: Path) -> Iterator[World]:
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker())
        settings = connection(broker) | {
            "model_dir": model_dir,
            "output_dir": folder / "pictures",
            "intermediate_dir": folder / "intermediate",
            "gateway_upload_dir": folder / "uploads",
            "comfyui_device": "cpu",
            "comfyui_attention": "pytorch",
            "megapixels": MEGAPIXELS,
            "max_in_flight": TAKES_UP,
        }
        given = environment(settings)
        stages = ("-m", "shared_utils.worker", "--stages", ",".join(STAGES))
        worker = stack.enter_context(Process(*stages, env=given, log=folder / "worker.log"))
        engine = stack.enter_context(Process(*PARTS, "kafka", env=given, log=folder / "engine.log"))
        gateway = Gateway(settings, folder / "gateway.log")
        stack.callback(gateway.stop)
        gateway.start()
        engine.wait_for(" took up ")
        worker.wait_for(" waits for requests on ", len(STAGES))
        yield World(settings, folder, gateway)
