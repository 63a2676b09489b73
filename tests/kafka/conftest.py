"""The brokers that the tests run on. Whatever needs Apache Kafka is marked `kafka`."""

import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from shared_utils.ports import free_port
from shared_utils.transports.kafka.apache import HOST, ApacheKafka
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from tests.kafka.registry import Registry

CreateTopic = Callable[[str, str, int], None]
NEED_JAVA = {"apache_kafka", "secure_kafka", "registry"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for Apache Kafka is marked so."""
    for item in items:
        if isinstance(item, pytest.Function) and NEED_JAVA & set(item.fixturenames):
            item.add_marker("kafka")


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    with ApacheKafka(tmp_path_factory.mktemp("kafka"), dies_with_parent=True) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture(scope="session", params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> EmbeddedBroker | ApacheKafka:
    """Each of the two; their address is `bootstrap`."""
    names = {"embedded": "embedded_broker", "apache": "apache_kafka"}
    found: EmbeddedBroker | ApacheKafka = request.getfixturevalue(names[request.param])
    return found


@pytest.fixture(scope="session")
def create_topic() -> CreateTopic:
    """Makes a topic on an Apache Kafka."""

    def create(bootstrap: str, name: str, partitions: int) -> None:
        client = AdminClient({"bootstrap.servers": bootstrap})
        client.create_topics([NewTopic(name, partitions)], operation_timeout=30)[name].result()

    return create


@pytest.fixture
def topic(broker: EmbeddedBroker | ApacheKafka, create_topic: CreateTopic) -> str:
    """A topic of four partitions that no other test uses."""
    name = f"topic-{uuid.uuid4()}"
    if isinstance(broker, ApacheKafka):
        create_topic(broker.bootstrap, name, 4)
    return name


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry") / "log") as running:
        yield running


@dataclass(frozen=True)
class SecureKafka:
    """Where a Kafka listens that wants TLS and a password."""

    bootstrap: str
    ca_file: Path
    username: str
    password: str


@pytest.fixture(scope="session")
def secure_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    folder = tmp_path_factory.mktemp("secure")
    port, controller, secured = free_port(), free_port(), free_port()
    plain, secret = f"PLAINTEXT://{HOST}:{port}", f"SASL_SSL://{HOST}:{secured}"
    login = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_tester="a password";'
    properties = {
        "listeners": f"{plain},{secret},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"{plain},{secret}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": login,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(_make_keystore(folder)),
    }
    data = folder / "data"
    with ApacheKafka(data, port=port, controller_port=controller, properties=properties, dies_with_parent=True):
        yield SecureKafka(f"{HOST}:{secured}", folder / "certificate.pem", "tester", "a password")


def _make_keystore(folder: Path) -> Path:
    """A key and the certificate that it signed itself, in one file."""
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "keystore.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tests"]
    files = ["-addext", f"subjectAltName=IP:{HOST}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made, *files], check=True, capture_output=True)
    both.write_text(key.read_text() + certificate.read_text())
    return both
