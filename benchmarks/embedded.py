"""A fresh broker in memory in a process of its own, so that what it takes can be counted with the rest."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_kafka import Bench
from processes import Child, all_stopped, environment, python

from shared_utils.ports import LOOPBACK
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.settings import KafkaSettings

START_SECONDS = 60.0
# The broker in memory does not wake whoever waits for records: they wait for this long at most.
PROPERTIES = {"fetch.wait.max.ms": 10}
SETTINGS = {
    "KAFKA_PROPERTIES": '{"fetch.wait.max.ms": 10}',
    "KAFKA_VALUE_FORMAT": "json",
    "KAFKA_GROUP_PROTOCOL": "consumer",
    "KAFKA_DRAIN_SECONDS": "0",
}
"""For the processes that use it."""


@contextmanager
def embedded_kafka(folder: Path) -> Iterator[tuple[Bench, Child]]:
    """What lies on it is gone with it."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "broker.log"
    log.unlink(missing_ok=True)  # it would tell the address of the one before
    command = python("-m", "shared_utils.transports.kafka.embedded")
    broker = Child("broker", command, environment("", folder), log)
    with all_stopped([broker]):
        broker.start()
        settings = KafkaSettings(kafka_bootstrap_servers=_address(log), kafka_properties=PROPERTIES)
        # A topic is made when somebody asks for it. Who would read one before that would find no partition to read.
        topics.check(settings)
        yield Bench(folder, settings), broker


def _address(log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while True:
        said = log.read_text() if log.exists() else ""
        if f"{LOOPBACK}:" in said and said.endswith("\n"):
            return said.split()[-1]
        if time.monotonic() > deadline:
            raise TimeoutError(f"the broker did not start within {START_SECONDS:g} s: {said}")
        time.sleep(0.05)
