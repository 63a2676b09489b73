"""How consumers and producers are made, and who a process is among its like."""

import fcntl
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import IO, Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from shared_utils.errors import VtryonError
from shared_utils.settings import cache_dir
from shared_utils.transports.kafka.bounded import NoReturnError, bounded
from shared_utils.transports.kafka.settings import KafkaSettings

log = logging.getLogger("vtryon.kafka")

Client = TypeVar("Client", AdminClient, Producer, Consumer)

TRANSACTION_SECONDS = 10
"""How long a dead process's open transaction can hold up those who read committed messages."""
MOST_BYTES = 2 * 1024 * 1024
"""Of a record. Brokers take 1 MB by default, topics for dead letters this much."""
CLOSE_SECONDS = 10.0
REPEAT_SECONDS = 30.0
"""How often the log says the same of Kafka."""
SESSION_SECONDS = 10
"""How long a dead process keeps its partitions."""


class KafkaSettingsError(VtryonError):
    """Kafka's client refuses a setting."""

    code = "KAFKA_SETTINGS_INVALID"


class KafkaUnavailableError(VtryonError):
    """No broker answers, or none that would let us in."""

    code = "KAFKA_UNAVAILABLE"
    retryable = True


def explained(failed: KafkaException | KafkaError, settings: KafkaSettings) -> str:
    """What went wrong with Kafka, where, and what to look at."""
    error = failed.args[0] if isinstance(failed, KafkaException) else failed
    return (
        f"Kafka at {settings.kafka_bootstrap_servers}: {error.str()} ({error.name()}). "
        "Check KAFKA_BOOTSTRAP_SERVERS and the KAFKA_ settings for security; `vtryon doctor` looks at all of it."
    )


def admin(settings: KafkaSettings) -> AdminClient:
    return _made(AdminClient, _common(settings) | settings.kafka_properties)


def make_producer(settings: KafkaSettings, **properties: Any) -> Producer:
    """A producer that neither loses nor repeats what it is given, as long as its process lives."""
    ours = _common(settings) | {"enable.idempotence": True, "linger.ms": 0, "message.max.bytes": MOST_BYTES}
    return _made(Producer, ours | properties | settings.kafka_properties)


def make_transactional_producer(settings: KafkaSettings, transactional_id: str) -> Producer:
    """The one producer of this id: whoever had it before is shut out, and what it left open is aborted."""
    producer = make_producer(
        settings,
        **{
            "transactional.id": transactional_id,
            "transaction.timeout.ms": TRANSACTION_SECONDS * 1000,
            # A transaction that begins before Kafka has quite ended the one before it is sent away, to try again.
            "retry.backoff.ms": 5,
        },
    )
    try:
        producer.init_transactions(3 * TRANSACTION_SECONDS)
    except KafkaException as failed:
        raise KafkaUnavailableError(explained(failed, settings)) from None
    return producer


def make_consumer(settings: KafkaSettings, group: str, **properties: Any) -> Consumer:
    """A consumer of committed messages that commits nothing by itself."""
    ours = _common(settings) | {
        "group.id": group,
        "group.protocol": settings.kafka_group_protocol,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "fetch.wait.max.ms": 100,
    }
    if settings.kafka_group_protocol == "classic":
        ours |= {"session.timeout.ms": SESSION_SECONDS * 1000, "heartbeat.interval.ms": SESSION_SECONDS * 200}
    return _made(Consumer, ours | properties | settings.kafka_properties)


def close(*clients: Consumer | Producer) -> None:
    """Leave the group, so that others take over at once; if nobody answers, go without. A producer that is left to the
    garbage collector keeps its threads and connections until that comes round."""
    for client in clients:
        try:
            bounded(client.close, CLOSE_SECONDS)
        except NoReturnError as failed:
            log.warning("left Kafka without a word: %s", failed)
        except KafkaException as failed:
            # Another has taken this producer's name, or its transaction can't be ended: there is nothing to be ended.
            log.debug("left Kafka: %s", failed)


def make_reader(settings: KafkaSettings, **properties: Any) -> Consumer:
    """A consumer that is given its partitions by hand, and belongs to no group that anybody sees."""
    reading = {"group.protocol": "classic", "enable.partition.eof": True}
    return make_consumer(settings, f"reader-{os.getpid()}-{threading.get_ident()}", **properties, **reading)


def _made(kind: Callable[[dict[str, Any]], Client], properties: dict[str, Any]) -> Client:
    try:
        return kind(properties)
    except KafkaException as refused:
        reason = refused.args[0].str()
        raise KafkaSettingsError(f"{reason}. Look at KAFKA_PROPERTIES and the KAFKA_ settings for security.") from None


def _common(settings: KafkaSettings) -> dict[str, Any]:
    ours = {"client.id": "vtryon", "error_cb": _log_error, "logger": _librdkafka, "reconnect.backoff.max.ms": 1000}
    return settings.client_properties() | ours


def _is_news(record: logging.LogRecord) -> bool:
    # One set of properties serves all kinds of client, and each kind warns of those that are for another.
    # And failures to connect come a second time, to _log_error.
    return not record.getMessage().startswith(("CONFWARN", "FAIL"))


_librdkafka = logging.getLogger("vtryon.kafka.librdkafka")
_librdkafka.addFilter(_is_news)


_told: dict[str, float] = {}


def _log_error(error: KafkaError) -> None:
    """librdkafka goes on trying by itself, several times a second. Who waits too long says so in words of their own."""
    again = time.monotonic() - _told.get(error.name(), -REPEAT_SECONDS) < REPEAT_SECONDS
    if not again:
        _told[error.name()] = time.monotonic()
    level = logging.DEBUG if again else logging.ERROR if error.fatal() else logging.WARNING
    log.log(level, "%s (%s)", error.str(), error.name())


class Instance:
    """Who this process is among those of its group: a name that a restarted process takes up again.

    The name is what Kafka's fencing goes by: of two processes with one name, the older is shut out. A number is held by
    a lock on a file, which the system lets go of when the process dies, however it dies.
    """

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._lock: IO[str] | None = None
        if settings.kafka_instance_id:
            self.name = f"{group}-{settings.kafka_instance_id}"
        else:
            plain = re.sub(r"[^A-Za-z0-9._-]", "_", group)
            self.name = f"{group}-{socket.gethostname()}-{self._free_number(plain)}"

    def _free_number(self, group: str) -> int:
        folder = cache_dir() / "instances"
        folder.mkdir(parents=True, exist_ok=True)
        number = 0
        while True:
            lock = (folder / f"{group}-{number}.lock").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                number += 1
            else:
                self._lock = lock
                return number

    def close(self) -> None:
        """Let another process have the number."""
        if self._lock is not None:
            self._lock.close()
