"""Every way to ask for a whole try-on, in front of one engine and one set of stages."""

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from orchestrator import main
from orchestrator.files import FilesConfig, serve
from orchestrator.gateway.process import running_gateway
from orchestrator.gateway.rpc.calls import SubmitRequest
from orchestrator.gateway.rpc.client import TryOnClient
from shared_utils.stage import Stage
from shared_utils.transports.grpc.errors import CallFailedError
from shared_utils.transports.kafka import host, topics
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.settings import WorkerSettings
from tests.kafka.support import Eyes, connection, emptied, fresh, in_thread, say, stopped_by_its_thread, until
from tests.transports_contract.doors import SOON

PATH = "/v1/try-ons"


@dataclass(frozen=True)
class Asked:
    """One try-on: its pictures, and what else is wanted."""

    person: Path
    garment: Path
    fields: Mapping[str, Any]

    @property
    def with_paths(self) -> dict[str, Any]:
        return {"person_image_path": str(self.person), "garment_image_path": str(self.garment), **self.fields}


@dataclass(frozen=True)
class Outcome:
    """A code, or a picture."""

    code: str | None
    picture: bytes | None = None


@dataclass(frozen=True)
class House:
    """All that is behind the doors."""

    config: FilesConfig
    eyes: Eyes
    http: httpx.Client
    rpc: TryOnClient

    def wait(self, name: str) -> Outcome:
        """Until a gateway says that it has ended."""
        until(lambda: self.http.get(f"{PATH}/{name}").json()["state"] not in ("waiting", "running"), name, SOON)
        shown = self.http.get(f"{PATH}/{name}").json()
        if shown["problem"] is not None:
            return Outcome(shown["problem"]["code"])
        return Outcome(None, self.http.get(f"{PATH}/{name}/image").content)


@contextmanager
def house_with(stages: Mapping[str, Stage], folder: Path) -> Iterator[House]:
    with EmbeddedBroker() as broker, pytest.MonkeyPatch.context() as patch:
        emptied(broker)
        for module in (host, main):
            patch.setattr(module, "stopped_by_signals", stopped_by_its_thread)
        given = connection(broker) | {"kafka_retry_backoff_seconds": 0.01}
        workers = WorkerSettings(**given, kafka_instance_id=fresh("w"))
        config = _config(given, folder)
        with (
            in_thread(lambda: host.run_workers(list(stages.values()), workers), "workers"),
            in_thread(lambda: main.orchestrate(config), "engine"),
            running_gateway(config) as gateway,
            in_thread(lambda: _serve(config), "files"),
            httpx.Client(base_url=f"http://127.0.0.1:{gateway.http_port}", timeout=SOON) as http,
            TryOnClient(f"127.0.0.1:{gateway.grpc_port}") as rpc,
        ):
            until(lambda: http.get("/health/ready").is_success, "the gateway is ready")
            eyes = Eyes(config, topics.TRYON_RESPONSES)
            try:
                yield House(config, eyes, http, rpc)
            finally:
                eyes.close()


def _config(given: Mapping[str, Any], folder: Path) -> FilesConfig:
    return FilesConfig(
        **given,
        kafka_instance_id=fresh("e"),
        intermediate_dir=folder / "intermediate",
        output_dir=str(folder / "output"),
        storage_roots=[folder.parent],
        gateway_upload_dir=folder / "uploads",
        gateway_port=0,
        gateway_grpc_port=0,
        files_inbox=folder / "inbox",
        files_outbox=folder / "outbox",
        files_poll_seconds=0.02,
        files_settle_seconds=0,
    )


def _serve(config: FilesConfig) -> None:
    with stopped_by_its_thread() as stopping:
        serve(config, stopping)


class TryOnDoor(ABC):
    name: ClassVar[str]

    @abstractmethod
    def ask(self, house: House, asked: Asked) -> Outcome:
        """What becomes of it."""


class Kafka(TryOnDoor):
    name = "kafka"

    def ask(self, house: House, asked: Asked) -> Outcome:
        name = fresh("tryon")
        say(house.config, topics.TRYON_REQUESTS, asked.with_paths | {"correlation_id": name, "request_id": name})
        found = house.eyes.one(topics.TRYON_RESPONSES, name).value
        if found["status"] == "error":
            return Outcome(found["error_code"])
        return Outcome(None, Path(found["image_path"]).read_bytes())


class Http(TryOnDoor):
    """With paths."""

    name = "http"

    def ask(self, house: House, asked: Asked) -> Outcome:
        return _outcome(house, house.http.post(PATH, json=asked.with_paths))


class Upload(TryOnDoor):
    name = "upload"

    def ask(self, house: House, asked: Asked) -> Outcome:
        files = {"person": asked.person.read_bytes(), "garment": asked.garment.read_bytes()}
        fields = {name: str(value) for name, value in asked.fields.items()}
        return _outcome(house, house.http.post(PATH, files=files, data=fields))


def _outcome(house: House, answer: httpx.Response) -> Outcome:
    if answer.is_success:
        (shown,) = answer.json()["try_ons"]
        return house.wait(shown["id"])
    return Outcome(answer.json()["code"])


class Grpc(TryOnDoor):
    name = "grpc"

    def ask(self, house: House, asked: Asked) -> Outcome:
        pictures = {"person": asked.person.read_bytes(), "garments": [asked.garment.read_bytes()]}
        given: dict[str, Any] = {**pictures, **asked.fields}
        try:
            # Unchecked: it is the server's answer to what is wrong that is looked at.
            (shown,) = house.rpc.submit(SubmitRequest.model_construct(**given))
        except CallFailedError as failed:
            return Outcome(failed.code)
        for _ in house.rpc.watch(shown.id):
            pass
        return house.wait(shown.id)


class Files(TryOnDoor):
    name = "files"

    def ask(self, house: House, asked: Asked) -> Outcome:
        name = fresh("job")
        half = house.config.files_inbox / f".{name}"
        half.mkdir(parents=True)
        shutil.copy(asked.person, half / "person.png")
        shutil.copy(asked.garment, half / "garment.png")
        (half / "job.json").write_text(json.dumps(dict(asked.fields)))
        half.rename(half.with_name(name))
        places = [house.config.files_outbox / which / name / "response.json" for which in ("done", "failed")]
        (file,) = until(lambda: [place for place in places if place.exists()], name, SOON)
        found = json.loads(file.read_bytes())
        if found["status"] == "error":
            return Outcome(found["error_code"])
        return Outcome(None, Path(found["try_ons"][0]["image_path"]).read_bytes())


TRYON_DOORS: tuple[type[TryOnDoor], ...] = (Kafka, Http, Upload, Grpc, Files)
