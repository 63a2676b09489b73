"""An orchestrator with four puppets on a broker of its own, or on an emptied one."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator import main
from orchestrator.config import Config
from orchestrator.steps import STEPS
from shared_utils.transports.kafka import host, topics
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.settings import WorkerSettings
from tests.kafka.support import (
    Eyes,
    Puppet,
    Seen,
    Told,
    connection,
    everything,
    fresh,
    in_thread,
    puppets,
    say,
    stopped_by_its_thread,
)


class Orchestra:
    """Starts engines and workers, asks for try-ons and looks at what becomes of them."""

    def __init__(self, broker: EmbeddedBroker | ApacheKafka, folder: Path) -> None:
        self.broker, self.folder = broker, folder
        self.group = fresh("engines")
        self.stages: Mapping[str, Puppet] = puppets(folder)
        self.given = connection(broker) | {
            "kafka_consumer_group": self.group,
            "intermediate_dir": str(folder / "intermediate"),
            "output_dir": str(folder / "output"),
        }
        self.settings = Config(**self.given)
        self.eyes = Eyes(self.settings, *(topic.name for topic in topics.TOPICS))
        self.running = ExitStack()

    def engine(self, **settings: Any) -> Told:
        config = Config(**self.given | {"kafka_instance_id": fresh("e")} | settings)
        return self.running.enter_context(in_thread(lambda: main.orchestrate(config), "engine"))

    def workers(self, *names: str, **settings: Any) -> Told:
        given = connection(self.broker) | {"kafka_instance_id": fresh("w"), "kafka_retry_backoff_seconds": 0.05}
        read, stages = WorkerSettings(**given | settings), [self.stages[name] for name in names or STEPS]
        return self.running.enter_context(in_thread(lambda: host.run_workers(stages, read), "workers"))

    def request(self, **fields: Any) -> dict[str, Any]:
        pictures = {"person_image_path": "/person.png", "garment_image_path": "/garment.png"}
        return {"correlation_id": fresh("c"), "request_id": fresh("r"), "seed": 7} | pictures | fields

    def ask(self, partition: int = -1, key: str | None = None, **fields: Any) -> str:
        request = self.request(**fields)
        say(self.settings, topics.TRYON_REQUESTS, request, partition=partition, key=key)
        return str(request["correlation_id"])

    def cancel(self, name: str, partition: int) -> None:
        say(self.settings, topics.TRYON_CANCELS, {"correlation_id": name}, partition=partition, key=name)

    def answer(self, name: str, **fields: Any) -> Seen:
        return self.eyes.one(topics.TRYON_RESPONSES, name, **fields)

    def asked(self, step: str, name: str, times: int = 1) -> Seen:
        """The request to a stage, the last of so many."""
        topic = topics.request_topic(step)
        return self.eyes.wait(lambda each: each.topic == topic and each.about(name), times)[times - 1]

    def reply(self, step: str, asked: Seen, partition: int | None = None, **fields: Any) -> None:
        """Answer in a stage's place."""
        given = fields or {name: f"/{name}" for name in STEPS[step].gives}
        ids = {name: asked.value[name] for name in ("request_id", "correlation_id")}
        where = int(asked.headers["reply_partition"]) if partition is None else partition
        say(self.settings, topics.response_topic(step), {"status": "success"} | ids | given, partition=where)

    def status(self, name: str, state: str) -> Seen:
        topic = topics.TRYON_STATUS
        return self.eyes.wait(
            lambda each: each.topic == topic and each.about(name) and each.headers.get("state") == state
        )[0]

    def all(self, topic: str, name: str | None = None) -> list[Seen]:
        return everything(self.settings, topic, name)

    def stop(self) -> None:
        for stage in self.stages.values():
            stage.go()
        self.running.close()
        self.running = ExitStack()


@contextmanager
def orchestra_on(broker: EmbeddedBroker | ApacheKafka, folder: Path) -> Iterator[Orchestra]:
    made = Orchestra(broker, folder)
    with pytest.MonkeyPatch.context() as patch:
        for module in (host, main):
            patch.setattr(module, "stopped_by_signals", stopped_by_its_thread)
        try:
            yield made
        finally:
            made.stop()
            made.eyes.close()
