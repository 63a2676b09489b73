"""Workers that are more than there are partitions: those that get none are members too, and ready to take over."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest

from shared_utils.ports import LOOPBACK, free_port
from shared_utils.transports.kafka import host, topics
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.settings import WorkerSettings
from tests.kafka.support import (
    Puppet,
    connection,
    emptied,
    fresh,
    in_thread,
    stopped_by_its_thread,
    until,
    wait_topics,
)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_worker_without_a_partition_is_ready(
    apache_kafka: ApacheKafka, tmp_path: Path, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "stopped_by_signals", stopped_by_its_thread)
    emptied(apache_kafka)
    name = fresh("stage")
    given = connection(apache_kafka) | {
        "kafka_request_topic": f"{name}-requests",
        "kafka_response_topic": f"{name}-responses",
        "kafka_consumer_group": f"{name}-group",
        "kafka_group_protocol": protocol,
    }
    wanted = [f"{name}-requests", f"{name}-responses", topics.dead_letter_topic(f"{name}-requests")]
    _make(apache_kafka, *wanted)
    wait_topics(WorkerSettings(**given), *wanted)
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        for port in ports:
            settings = WorkerSettings(**given, health_port=port, kafka_instance_id=fresh("w"))
            stage = Puppet("stage", tmp_path / str(port))
            stack.enter_context(in_thread(partial(host.run_workers, [stage], settings), "worker"))
        for port in ports:
            until(partial(_ready, port), f"{port} is ready")


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://{LOOPBACK}:{port}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def _make(kafka: ApacheKafka, *names: str) -> None:
    """Of one partition each."""
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    client = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for made in client.create_topics([NewTopic(name, 1) for name in names], operation_timeout=30).values():
        made.result()
