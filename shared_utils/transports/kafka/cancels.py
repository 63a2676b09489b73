"""Which requests nobody waits for any more: what the orchestrator says on the topic stage-cancels."""

import logging
import threading
from collections import OrderedDict

from confluent_kafka import KafkaException, TopicPartition

from shared_utils.transports.kafka.client import make_reader
from shared_utils.transports.kafka.messages import Codec, InvalidMessageError, decoded
from shared_utils.transports.kafka.settings import KafkaSettings
from shared_utils.transports.kafka.topics import STAGE_CANCELS, TIMEOUT

log = logging.getLogger("vtryon.kafka")

MOST = 10_000
"""How many are remembered, and about how many of those said before the start are read."""


class Cancels:
    """Listens in a thread of its own until closed."""

    def __init__(self, settings: KafkaSettings, codec: Codec) -> None:
        self._codec = codec
        self._reader = make_reader(settings)
        self._requests: OrderedDict[str, None] = OrderedDict()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="cancels", daemon=True)
        self._thread.start()

    def has(self, request_id: str) -> bool:
        return request_id in self._requests

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._reader.close()

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                self._reader.assign(self._starts())
                break
            except KafkaException as failed:
                log.warning("can't listen for cancellations yet: %s", failed.args[0].str())
                self._closing.wait(1.0)
        while not self._closing.is_set():
            record = self._reader.poll(0.2)
            if record is None or record.error():
                continue
            try:
                self._remember(str(decoded(self._codec, record).get("request_id")))
            except InvalidMessageError as wrong:
                log.warning("%s", wrong)

    def _starts(self) -> list[TopicPartition]:
        """Some way before the end: a request may have been cancelled while nobody was here to do it."""
        partitions = self._reader.list_topics(STAGE_CANCELS, timeout=TIMEOUT).topics[STAGE_CANCELS].partitions
        starts = []
        for number in partitions:
            low, high = self._reader.get_watermark_offsets(TopicPartition(STAGE_CANCELS, number), timeout=TIMEOUT)
            starts.append(TopicPartition(STAGE_CANCELS, number, max(low, high - MOST // len(partitions))))
        return starts

    def _remember(self, request_id: str) -> None:
        self._requests[request_id] = None
        if len(self._requests) > MOST:
            self._requests.popitem(last=False)
