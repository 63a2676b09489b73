"""A whole house on a broker in memory: stages that stand in, an engine, and a gateway that can be called."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from orchestrator.gateway.process import Running, running_gateway
from orchestrator.gateway.settings import GatewayConfig
from shared_utils.artifacts.paths import write_whole
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from tests.kafka.orchestra import Orchestra, orchestra_on
from tests.kafka.support import Puppet, PuppetRequest, PuppetSuccess, emptied, until
from tests.orchestrator.gateway.drawn import picture

PATH = "/v1/try-ons"
SECRET = "whsec_" + "c2VjcmV0" * 4


class Painter(Puppet):
    """The last stage: it writes a picture that is one."""

    def run(self, request: PuppetRequest) -> PuppetSuccess:
        super().run(request)
        file = Path(request.output_dir) / str((request.model_extra or {})["output_filename"])
        write_whole({file: picture()})
        return PuppetSuccess.to(request, image_path=str(file))


class House:
    """What a test of the gateway stands in."""

    def __init__(self, orchestra: Orchestra, config: GatewayConfig, running: Running) -> None:
        self.orchestra, self.config, self.running = orchestra, config, running
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{running.http_port}", timeout=30)

    def submit(self, **fields: Any) -> dict[str, Any]:
        """One, uploaded."""
        files = {"person": ("p.png", picture(), "image/png"), "garment": ("g.png", picture(), "image/png")}
        answer = self.http.post(PATH, files=files, data=fields)
        assert answer.status_code == 202, answer.text
        shown: dict[str, Any] = answer.json()["try_ons"][0]
        return shown

    def get(self, name: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.http.get(f"{PATH}/{name}").json()
        return shown

    def wait(self, name: str, *states: str) -> dict[str, Any]:
        """Until it is in one of these states."""
        until(lambda: self.get(name)["state"] in states, f"{name} {states}: {self.get(name)}")
        return self.get(name)

    def hold(self) -> None:
        """Let what is asked for from now on stay with its first stages."""
        for name in ("latent_encoder", "text_encoder"):
            self.orchestra.stages[name].hold()

    def go(self) -> None:
        for stage in self.orchestra.stages.values():
            stage.go()


def gateway_settings(orchestra: Orchestra, **others: Any) -> GatewayConfig:
    uploads = {"gateway_upload_dir": str(orchestra.folder / "uploads"), "gateway_port": 0, "gateway_grpc_port": 0}
    return GatewayConfig(**orchestra.given | uploads | others)


@contextmanager
def gateway_on(orchestra: Orchestra, **others: Any) -> Iterator[House]:
    """One more gateway for the same engine."""
    config = gateway_settings(orchestra, **others)
    with running_gateway(config) as running:
        house = House(orchestra, config, running)
        with house.http:
            until(lambda: house.http.get("/health/ready").status_code == 200, "the gateway is ready")
            yield house


@contextmanager
def door_on(broker: EmbeddedBroker, folder: Path, **others: Any) -> Iterator[House]:
    """A gateway with nobody behind it: what is asked for waits."""
    emptied(broker)
    with orchestra_on(broker, folder) as orchestra, gateway_on(orchestra, **others) as house:
        yield house


@contextmanager
def house_on(broker: EmbeddedBroker, folder: Path, **others: Any) -> Iterator[House]:
    emptied(broker)
    with orchestra_on(broker, folder) as orchestra:
        orchestra.stages = {**orchestra.stages, "decoding": Painter("decoding", folder)}
        orchestra.engine()
        orchestra.workers()
        with gateway_on(orchestra, **others) as house:
            yield house


def refused(answer: httpx.Response, status: int, code: str) -> None:
    """As a problem's details."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status
    assert found["detail"]
    assert found["title"]
    assert found["type"] == "about:blank"
    assert isinstance(found["retryable"], bool)
