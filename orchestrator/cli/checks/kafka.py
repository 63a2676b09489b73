"""Kafka: whether it is spoken to as it wants, has its topics, and who else is there."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from orchestrator.cli.checks.finding import Finding
from orchestrator.config import Config
from shared_utils.errors import VtryonError
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.client import KafkaSettingsError, admin
from shared_utils.transports.kafka.codecs import make_codec

SECONDS = 8.0


def security(config: Config) -> Iterator[Finding]:
    """The settings by themselves. What they hold is never shown."""
    protocol = config.kafka_security_protocol
    wrong = list(_wrong_settings(config))
    for text in wrong:
        yield Finding("FAIL", "security", text)
    if wrong:
        return
    if protocol in ("plaintext", "sasl_plaintext") and not _all_local(config.kafka_bootstrap_servers):
        yield Finding(
            "warn",
            "security",
            f"{protocol}: whoever is on the network between can read and change messages. "
            "Set KAFKA_SECURITY_PROTOCOL=sasl_ssl or ssl if that network is not yours alone.",
        )
    else:
        yield Finding("ok", "security", f"{protocol}, on this machine" if protocol == "plaintext" else protocol)


def _wrong_settings(config: Config) -> Iterator[str]:
    if config.kafka_security_protocol.startswith("sasl"):
        needed = {
            "KAFKA_SASL_MECHANISM": config.kafka_sasl_mechanism,
            "KAFKA_SASL_USERNAME": config.kafka_sasl_username,
            "KAFKA_SASL_PASSWORD": config.kafka_sasl_password,
        }
        missing = [name for name, value in needed.items() if value is None]
        others = config.kafka_sasl_mechanism in ("GSSAPI", "OAUTHBEARER")
        if missing and not others:
            yield f"{config.kafka_security_protocol} needs {', '.join(missing)}."
    files = {
        "KAFKA_SSL_CA_LOCATION": config.kafka_ssl_ca_location,
        "KAFKA_SSL_CERTIFICATE_LOCATION": config.kafka_ssl_certificate_location,
        "KAFKA_SSL_KEY_LOCATION": config.kafka_ssl_key_location,
    }
    for name, file in files.items():
        if file is not None and not Path(file).exists():
            yield f"{name}={file} does not exist on this machine."


def _all_local(servers: str) -> bool:
    return all(_is_local(server.strip().rpartition(":")[0].strip("[]")) for server in servers.split(","))


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def cluster(config: Config) -> Iterator[Finding]:
    """What can be said only if a broker answers."""
    try:
        client = admin(config)
        brokers = client.list_topics(timeout=SECONDS).brokers
    except KafkaSettingsError as wrong:
        yield Finding("FAIL", "kafka", wrong.message)
        return
    except KafkaException as failed:
        error = failed.args[0]
        yield Finding(
            "FAIL",
            "kafka",
            f"{config.kafka_bootstrap_servers} can't be reached: {error.str()} ({error.name()}). Check "
            "KAFKA_BOOTSTRAP_SERVERS, and that it runs; for one on this machine: vtryon kafka start",
        )
        yield Finding("warn", "topics", "not looked at: Kafka can't be reached")
        return
    yield Finding("ok", "kafka", f"{config.kafka_bootstrap_servers}, brokers: {len(brokers)}")
    yield from _topics(config)
    yield from _values(config)
    yield from _members(client, config)


def _topics(config: Config) -> Iterator[Finding]:
    found = topics.problems(config)
    for sentence in found:
        yield Finding("FAIL", "topics", f"{sentence} See `vtryon topics check`.")
    if not found:
        yield Finding("ok", "topics", f"all {len(topics.TOPICS)} are there")


def _values(config: Config) -> Iterator[Finding]:
    if config.kafka_value_format == "json":
        yield Finding("ok", "values", "json")
        return
    try:
        make_codec(config).encode(topics.TRYON_CANCELS, {"correlation_id": "doctor"})
    except VtryonError as failed:
        yield Finding("FAIL", "values", failed.message)
    else:
        yield Finding("ok", "values", "avro, the schema registry answers")


def _members(client: AdminClient, config: Config) -> Iterator[Finding]:
    groups = {"orchestrator": config.kafka_consumer_group} | {stage: topics.group(stage) for stage in topics.STAGES}
    asked = client.describe_consumer_groups(list(groups.values()), request_timeout=SECONDS)
    for title, group in groups.items():
        try:
            described = asked[group].result()
        except KafkaException as failed:
            error = failed.args[0]
            if error.name() == "GROUP_ID_NOT_FOUND":
                yield _nobody(title, group)
            else:
                yield Finding(
                    "warn", title, f"who is there is not known yet, or this broker never tells: {error.str()}"
                )
        else:
            members = len(described.members)
            if not members:
                yield _nobody(title, group)
            elif described.state == ConsumerGroupState.STABLE:
                yield Finding("ok", title, f"{members} in {group}")
            else:
                yield Finding("ok", title, f"{members} in {group}, which is sharing out its partitions just now")


def _nobody(title: str, group: str) -> Finding:
    start = "python -m orchestrator" if title == "orchestrator" else f"python -m {title} --mode kafka"
    return Finding("warn", title, f"nobody in {group}: nothing is done until one runs. Start one: {start}")
