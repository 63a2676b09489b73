"""The two brokers that come with vtryon: librdkafka's in memory, and Apache Kafka as a process."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from orchestrator.cli.main import main
from shared_utils.ports import free_port
from shared_utils.transports.kafka import apache
from shared_utils.transports.kafka.apache import ApacheKafka, ApacheKafkaError, fetch_jars, find_java
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.settings import KafkaSettings

CreateTopic = Callable[[str, str, int], None]
PATIENCE = 60


def consumer(bootstrap: str, group: str, **properties: Any) -> Consumer:
    ours = {"isolation.level": "read_committed", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    return Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0} | ours | properties)


def read(reader: Consumer, count: int) -> list[Message]:
    """So many messages, or a failed test."""
    found: list[Message] = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} messages came"
        message = reader.poll(1)
        if message is not None:
            assert message.error() is None, message.error()
            found.append(message)
    return found


def in_a_transaction(bootstrap: str, write: Callable[[Producer], None]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "test", "log_level": 0})
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    write(producer)
    producer.commit_transaction(PATIENCE)


def ends(pid: int) -> bool:
    """Whether this process ends, waited for."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(handle):
        return bool(select.select([handle], [], [], PATIENCE)[0])


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_what_is_sent_comes_back(broker: EmbeddedBroker | ApacheKafka, topic: str, protocol: str) -> None:
    def write(producer: Producer) -> None:
        for number in range(8):
            producer.produce(topic, key=f"{number}", value=f"value {number}", partition=number % 4, headers={"h": "ä"})

    in_a_transaction(broker.bootstrap, write)
    reader = consumer(broker.bootstrap, f"{topic}-{protocol}", **{"group.protocol": protocol})
    reader.subscribe([topic])
    messages = read(reader, 8)
    assert {message.value() for message in messages} == {f"value {number}".encode() for number in range(8)}
    assert all(message.headers() == [("h", "ä".encode())] for message in messages)
    assert len(reader.assignment()) == 4
    reader.commit(asynchronous=False)
    assert all(position.offset > 0 for position in reader.committed(reader.assignment(), timeout=PATIENCE))
    reader.close()


def test_kafka_hides_what_was_aborted(apache_kafka: ApacheKafka, create_topic: CreateTopic) -> None:
    """What the broker in memory does not."""
    create_topic(apache_kafka.bootstrap, "aborted", 1)
    producer = Producer({"bootstrap.servers": apache_kafka.bootstrap, "transactional.id": "aborting"})
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    producer.produce("aborted", value="aborted")
    producer.flush(PATIENCE)
    producer.abort_transaction(PATIENCE)
    in_a_transaction(apache_kafka.bootstrap, lambda later: later.produce("aborted", value="committed"))
    reader = consumer(apache_kafka.bootstrap, "aborted")
    reader.assign([TopicPartition("aborted", 0, 0)])
    assert [message.value() for message in read(reader, 1)] == [b"committed"]
    reader.close()


@pytest.mark.kafka
def test_kafka_has_its_data_after_a_crash_and_on_another_port(tmp_path: Path, create_topic: CreateTopic) -> None:
    with ApacheKafka(tmp_path / "data", dies_with_parent=True) as kafka:
        bootstrap = kafka.bootstrap
        create_topic(bootstrap, "kept", 1)
        in_a_transaction(bootstrap, lambda producer: producer.produce("kept", value="before"))
        reader = consumer(bootstrap, "group")
        reader.subscribe(["kept"])
        (message,) = read(reader, 1)
        reader.commit(message=message, asynchronous=False)

        kafka.kill()
        kafka.start()

        in_a_transaction(bootstrap, lambda producer: producer.produce("kept", value="after"))
        assert [message.value() for message in read(reader, 1)] == [b"after"]
        reader.close()

    with ApacheKafka(tmp_path / "data", dies_with_parent=True) as kafka:
        assert kafka.bootstrap != bootstrap
        reader = consumer(kafka.bootstrap, "group")
        reader.subscribe(["kept"])
        assert [message.value() for message in read(reader, 1)] == [b"after"]
        reader.close()


@pytest.mark.kafka
def test_kafka_dies_with_its_parent(tmp_path: Path) -> None:
    starts = (
        "import sys; from pathlib import Path; from shared_utils.transports.kafka.apache import ApacheKafka;"
        "kafka = ApacheKafka(Path(sys.argv[1]), dies_with_parent=True); kafka.start(); print('up', flush=True);"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", starts, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        pid = apache.running(tmp_path)
        assert pid is not None
        parent.kill()
    assert ends(pid)


@pytest.mark.kafka
def test_kafka_that_does_not_start_says_why(tmp_path: Path) -> None:
    kafka = ApacheKafka(tmp_path, properties={"process.roles": "broker,nonsense"}, dies_with_parent=True)
    with pytest.raises(ApacheKafkaError, match="nonsense"):
        kafka.start()
    other = ApacheKafka(tmp_path / "other", properties={"group.max.size": "nonsense"})
    with pytest.raises(ApacheKafkaError, match=r"group\.max\.size"):
        other.start()


def test_kafka_is_not_mixed_up_with_another(apache_kafka: ApacheKafka, tmp_path: Path) -> None:
    with pytest.raises(ApacheKafkaError, match=f"Port {apache_kafka.port} can't be had"):
        ApacheKafka(tmp_path, port=apache_kafka.port).start()
    with pytest.raises(ApacheKafkaError, match="runs already"):
        ApacheKafka(apache_kafka.data).start()


def test_kafka_behind_tls_and_a_password(secure_kafka: Any) -> None:
    def properties(password: str) -> dict[str, Any]:
        settings = KafkaSettings.model_validate(
            {
                "kafka_bootstrap_servers": secure_kafka.bootstrap,
                "kafka_security_protocol": "sasl_ssl",
                "kafka_sasl_mechanism": "PLAIN",
                "kafka_sasl_username": secure_kafka.username,
                "kafka_sasl_password": password,
                "kafka_ssl_ca_location": str(secure_kafka.ca_file),
            }
        )
        return settings.client_properties() | {"log_level": 0}

    assert AdminClient(properties(secure_kafka.password)).list_topics(timeout=PATIENCE).brokers
    authentication = KafkaError._AUTHENTICATION
    assert authentication in _errors_of(properties("another password"), authentication)
    untrusting = properties(secure_kafka.password)
    del untrusting["ssl.ca.location"]
    assert KafkaError._SSL in _errors_of(untrusting, KafkaError._SSL)


def _errors_of(properties: dict[str, Any], awaited: int) -> list[int]:
    """The codes of what goes wrong, until the awaited one is among them."""
    codes: list[int] = []
    client = AdminClient(properties | {"error_cb": lambda error: codes.append(error.code())})
    deadline = time.monotonic() + PATIENCE
    while awaited not in codes and time.monotonic() < deadline:
        client.poll(1)
    return codes


@pytest.mark.parametrize("asked", ["terminate", "close stdin"])
def test_broker_in_memory_as_a_process(asked: str) -> None:
    flags = ["--until-stdin-closes"] if asked == "close stdin" else []
    command = [sys.executable, "-m", "shared_utils.transports.kafka.embedded", *flags]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert re.fullmatch(r"127\.0\.0\.1:\d+", address)
            client = AdminClient({"bootstrap.servers": address, "log_level": 0})
            assert len(client.list_topics("new", timeout=PATIENCE).topics["new"].partitions) == 4
            if asked == "terminate":
                process.send_signal(signal.SIGTERM)
            else:
                process.stdin.close()
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, without Kafka's jars."""
    monkeypatch.setenv("VTRYON_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts programs of the test's own on a PATH that has no others."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)

    def put(name: str, script: str) -> Path:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
        return folder / name

    return put


def java(version: str) -> str:
    return f"echo 'openjdk version \"{version}\" 2025-04-15' >&2"


def test_java_missing_or_too_old(programs: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ApacheKafkaError, match=r"There is no java on the PATH\. Apache Kafka needs Java 17 or newer"):
        find_java()
    old = programs("java", java("1.8.0_402"))
    with pytest.raises(ApacheKafkaError, match=rf"{old} is Java 8\. .*install"):
        find_java()
    programs("java", java("11.0.2"))
    with pytest.raises(ApacheKafkaError, match=r"is Java 11\."):
        find_java()
    programs("java", java("21"))
    assert find_java() == str(old)
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(ApacheKafkaError, match=r"There is no java in JAVA_HOME=/nowhere\."):
        find_java()


def test_jars_are_fetched_once_and_whole_or_not_at_all(programs: Callable[[str, str], Path], cache: Path) -> None:
    programs("java", java("17.0.1"))
    with pytest.raises(ApacheKafkaError, match=r"Maven is missing: install it"):
        fetch_jars()
    target = 'for given in "$@"; do case "$given" in -DoutputDirectory=*) target="${given#*=}" ;; esac; done'
    write = f'{target}; /bin/mkdir -p "$target"; echo jar > "$target/kafka.jar"'
    programs("mvn", f"{write}; echo '[ERROR] no network'; echo '[ERROR] more'; exit 1")
    with pytest.raises(ApacheKafkaError, match=r"could not be fetched: no network\. Check the network"):
        fetch_jars()
    assert [file.name for file in (cache / "kafka").iterdir()] == [".lock"]
    programs("mvn", write)
    assert [file.name for file in fetch_jars().iterdir()] == ["kafka.jar"]
    programs("mvn", "exit 1")
    assert fetch_jars() == cache / "kafka" / apache.VERSION


def test_the_version_is_the_one_that_maven_fetches() -> None:
    assert f"<version>{apache.VERSION}</version>" in apache.POM.read_text()


def vtryon(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestrator.cli.main", "kafka", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=2 * PATIENCE)


@pytest.fixture
def stopped_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of the test's own, with Kafka's jars; no Kafka runs on it after the test."""
    jars = fetch_jars()
    cache = tmp_path / "cache"
    (cache / "kafka").mkdir(parents=True)
    (cache / "kafka" / apache.VERSION).symlink_to(jars)
    monkeypatch.setenv("VTRYON_CACHE", str(cache))
    yield cache
    apache.end_running(cache / "kafka" / "data")


@pytest.mark.kafka
def test_vtryon_kafka(stopped_afterwards: Path) -> None:
    data, port = stopped_afterwards / "kafka" / "data", free_port()
    started = vtryon("start", "--port", str(port))
    assert started.returncode == 0, started.stderr
    for shown in (f"127.0.0.1:{port}", str(data), str(data / "kafka.log")):
        assert shown in started.stdout
    assert AdminClient({"bootstrap.servers": f"127.0.0.1:{port}"}).list_topics(timeout=PATIENCE).brokers

    again = vtryon("start")
    assert "runs already" in again.stdout
    assert f"127.0.0.1:{port}" in again.stdout
    status = vtryon("status")
    assert (status.returncode, f"127.0.0.1:{port}" in status.stdout) == (0, True)

    pid = apache.running(data)
    assert pid is not None
    assert vtryon("stop").returncode == 0
    assert ends(pid)
    status = vtryon("status")
    assert (status.returncode, "does not run" in status.stdout) == (1, True)
    assert vtryon("stop").returncode == 0


def test_vtryon_kafka_stop_ends_no_other_process(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("orchestrator.cli.main.start_logging", lambda level, form: None)
    pid_file = cache / "kafka" / "data" / "kafka.pid"
    pid_file.parent.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as other:
        pid_file.write_text(f"{other.pid}\n")
        assert main(["kafka", "status"]) == 1
        assert main(["kafka", "stop"]) == 0
        assert "does not run" in capsys.readouterr().out
        assert other.poll() is None


@pytest.mark.parametrize("port", ["0", "65536", "-1", "nonsense"])
def test_vtryon_kafka_refuses_what_is_no_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["kafka", "start", f"--port={port}"])
    assert "is no port" in capsys.readouterr().err
