"""What a worker tells of its progress, on the topic tryon-progress. Nobody's work depends on it: it may get lost."""

import logging
from base64 import b64encode
from typing import Any

from confluent_kafka import KafkaException, Producer

from shared_utils.comfy.progress import Step
from shared_utils.contracts import Progress
from shared_utils.errors import VtryonError
from shared_utils.transports.kafka.asked import Asked
from shared_utils.transports.kafka.messages import Codec, as_headers
from shared_utils.transports.kafka.topics import TRYON_PROGRESS

log = logging.getLogger("vtryon.kafka")


class News:
    def __init__(self, producer: Producer, codec: Codec, stage: str, partitions: int) -> None:
        self._producer = producer
        self._codec = codec
        self._stage = stage
        self._partitions = partitions

    def tell(self, asked: Asked, state: str, step: Step | None = None) -> None:
        news = Progress.model_validate(
            {
                "correlation_id": asked.correlation_id,
                "request_id": asked.request_id,
                "step": self._stage,
                "state": state,
                **(_told(step) if step else {}),
            }
        )
        try:
            value = self._codec.encode(TRYON_PROGRESS, news)
            self._producer.produce(
                TRYON_PROGRESS,
                key=asked.key,
                value=value,
                headers=as_headers(asked.echoed),
                partition=asked.reply_partition(self._partitions),
            )
            self._producer.poll(0)
        except (
            BufferError,
            KafkaException,
            VtryonError,
        ) as failed:  # no broker takes any, or no registry answers
            log.debug("news of %s left out: %s", asked.request_id, failed)


def _told(step: Step) -> dict[str, Any]:
    preview = None if step.preview is None else b64encode(step.preview).decode()
    return {"node": step.node, "done": step.done, "total": step.total, "preview": preview}
