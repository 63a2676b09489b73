"""Stages that do nothing, so that what is left is the orchestrator's work and Kafka's.

`--transactions` answers as a worker does: one request after the other, each in a transaction of its own. Without, whole
batches are answered at once and nothing is promised: so the stages are never what others wait for.
"""

import argparse
import json
import sys
from typing import Any

from shared_utils.comfy.loader import Models
from shared_utils.contracts import Request, Success
from shared_utils.settings import Settings
from shared_utils.signals import stopped_by_signals
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.client import make_consumer, make_producer
from shared_utils.transports.kafka.command import run_together
from shared_utils.transports.kafka.messages import REPLY_PARTITION, headers_of, place
from shared_utils.transports.kafka.reading import next_batch
from shared_utils.transports.kafka.settings import WorkerSettings

BATCH = 500


class Anything(Success):
    """What every step gives that another one needs."""

    latent_file_path: str = "latent.pt"
    positive_encoding_path: str = "positive.pt"
    negative_encoding_path: str | None = None
    sampled_latent_path: str = "sampled.pt"
    image_path: str = "image.png"


class Nothing:
    request_type: type[Request] = Request
    response_type: type[Success] = Anything

    def __init__(self, name: str) -> None:
        self.name = name
        self.verb = "do"
        self.models = Models(Settings())
        self.options: Any = Settings()

    def warm_up(self) -> None:
        pass

    def run(self, request: Request) -> Success:
        return Anything.to(request)


def answer_in_batches(settings: WorkerSettings) -> None:
    responses = {topics.request_topic(stage): topics.response_topic(stage) for stage in topics.STAGES}
    consumer = make_consumer(settings, "nothing", **{"enable.auto.commit": True, "enable.auto.offset.store": True})
    producer = make_producer(settings)
    consumer.subscribe(list(responses))
    template = Anything(request_id="", correlation_id="").model_dump(mode="json")
    with stopped_by_signals() as stopping:
        while not stopping.is_set():
            for record in next_batch(consumer, BATCH, 0.2):
                if record.error() is not None:
                    continue
                asked = json.loads(record.value() or b"{}")
                ids = {name: asked[name] for name in ("request_id", "correlation_id")}
                home = int(headers_of(record)[REPLY_PARTITION])
                value = json.dumps(template | ids)
                producer.produce(responses[place(record).topic], value, asked["correlation_id"], home)
            producer.poll(0)
    producer.flush(10)
    consumer.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transactions", action="store_true")
    given = parser.parse_args()
    settings = WorkerSettings.read()
    if given.transactions:
        return run_together([Nothing(stage) for stage in topics.STAGES], settings)
    answer_in_batches(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
