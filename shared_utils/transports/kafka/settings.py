"""What the environment says about Kafka."""

from typing import Any, Literal

from pydantic import Field, SecretStr

from shared_utils.settings import Settings


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


class KafkaSettings(Settings):
    """The settings of every process, and how it reaches Kafka."""

    kafka_bootstrap_servers: str = Field("localhost:9092", description="Brokers to start from: host:port, ...")
    kafka_security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        "plaintext", description="How brokers are spoken to."
    )
    kafka_sasl_mechanism: str | None = Field(None, description="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or another.")
    kafka_sasl_username: str | None = Field(None, description="For SASL.")
    kafka_sasl_password: SecretStr | None = Field(None, description="For SASL; never logged.")
    kafka_ssl_ca_location: str | None = Field(None, description="File with the certificates that brokers must show.")
    kafka_ssl_certificate_location: str | None = Field(None, description="Our own certificate, if brokers want one.")
    kafka_ssl_key_location: str | None = Field(None, description="Its private key.")
    kafka_ssl_key_password: SecretStr | None = Field(None, description="That key's password; never logged.")
    kafka_properties: dict[str, Any] = Field(
        {}, description="Further properties of librdkafka, a JSON object. They go before all others."
    )
    kafka_group_protocol: Literal["classic", "consumer"] = Field(
        "consumer", description="Protocol of consumer groups: consumer is KIP-848's, of Kafka 4; classic the older one."
    )
    kafka_instance_id: str | None = Field(
        None, description="Names this process among its like, also after a restart. Unset: host name and a number."
    )
    kafka_value_format: Literal["json", "avro"] = Field("json", description="How messages are written.")
    schema_registry_url: str = Field("http://localhost:8081", description="Where Avro's schemas are; http or https.")
    schema_registry_basic_auth_user_info: SecretStr | None = Field(
        None, description="user:password for the schema registry; never logged."
    )

    @property
    def poll_seconds(self) -> float:
        """How long librdkafka lets a consumer go without polling."""
        return float(self.kafka_properties.get("max.poll.interval.ms", 300_000)) / 1000

    def client_properties(self) -> dict[str, Any]:
        """What every client of librdkafka is made with."""
        given = {
            "bootstrap.servers": self.kafka_bootstrap_servers,
            "security.protocol": self.kafka_security_protocol,
            "sasl.mechanism": self.kafka_sasl_mechanism,
            "sasl.username": self.kafka_sasl_username,
            "sasl.password": _revealed(self.kafka_sasl_password),
            "ssl.ca.location": self.kafka_ssl_ca_location,
            "ssl.certificate.location": self.kafka_ssl_certificate_location,
            "ssl.key.location": self.kafka_ssl_key_location,
            "ssl.key.password": _revealed(self.kafka_ssl_key_password),
        }
        return {name: value for name, value in given.items() if value is not None}


class WorkerSettings(KafkaSettings):
    """What a worker reads besides."""

    kafka_request_topic: str | None = Field(None, description="Where requests come from. Unset: <stage>-requests.")
    kafka_response_topic: str | None = Field(None, description="Where answers go. Unset: <stage>-responses.")
    kafka_consumer_group: str | None = Field(
        None, description="Workers of one group share the requests. Unset: <stage>-group."
    )
    kafka_max_attempts: int = Field(3, ge=1, le=100, description="How often a worker tries what may yet succeed.")
    kafka_retry_backoff_seconds: float = Field(
        1.0, ge=0, le=3600, description="How long it waits before the second attempt; then twice as long each time."
    )
    kafka_drain_seconds: float = Field(
        60.0,
        ge=0,
        description="How long a job in hand may go on when the process is to end or its partition moves elsewhere. "
        "After that it is stopped, and somebody else does it.",
    )
