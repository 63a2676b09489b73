"""Values in Avro, as Confluent's clients write them, with their schemas in a schema registry."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from confluent_kafka.serialization import MessageField, SerializationContext
from pydantic import BaseModel

from shared_utils.errors import VtryonError, first_line
from shared_utils.schemas.avro import from_avro, to_avro
from shared_utils.schemas.files import subject, topic_schema
from shared_utils.transports.kafka.messages import InvalidMessageError
from shared_utils.transports.kafka.settings import KafkaSettings

try:
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, topic_subject_name_strategy
    from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
    from confluent_kafka.schema_registry.error import SchemaRegistryError
except ImportError as error:
    MISSING: str | None = error.name
else:
    MISSING = None

MAGIC, PREFIX = 0, 5
"""A value begins with this byte and the four of the number of its schema."""
TIMEOUT = 10
NOT_FOUND = 404
REFUSED = (409, 422)
"""What a registry says to a schema that older readers would not understand, or that is none."""


class AvroNotInstalledError(VtryonError):
    """Avro's libraries are an extra."""

    code = "AVRO_NOT_INSTALLED"


class RegistryUnavailableError(VtryonError):
    """The schema registry doesn't answer, or lets us not in."""

    code = "SCHEMA_REGISTRY_UNAVAILABLE"
    retryable = True


class SchemaRefusedError(VtryonError):
    """The registry has no schema for a topic, or doesn't take ours."""

    code = "SCHEMA_REFUSED"


class AvroCodec:
    """Writes with the schema of the topic, reads with the one that the writer had."""

    def __init__(self, settings: KafkaSettings) -> None:
        if MISSING:
            raise AvroNotInstalledError(f"The package {MISSING} is missing. Run: pip install 'vtryon[avro]'")
        self._where = _without_password(settings.schema_registry_url)
        self._client = SchemaRegistryClient(_client_properties(settings))
        # No reader's schema: the contract says what a message must hold, and takes more than Avro's rules would.
        self._deserializer = AvroDeserializer(self._client)
        self._writers: dict[str, tuple[dict[str, Any], AvroSerializer]] = {}

    def encode(self, topic: str, message: BaseModel | Mapping[str, Any]) -> bytes:
        schema, serializer = self._writer(topic)
        # From here on, all that the registry has to say is in the client's cache.
        try:
            return bytes(serializer(to_avro(message, schema), _value_on(topic)) or b"")
        except Exception as wrong:
            raise InvalidMessageError(f"A message for {topic} does not fit its schema: {first_line(wrong)}.") from wrong

    def decode(self, topic: str, value: bytes) -> dict[str, Any]:
        if len(value) <= PREFIX or value[0] != MAGIC:
            raise InvalidMessageError(f"A message on {topic} is not in Confluent's wire format.")
        schema = self._written_with(topic, int.from_bytes(value[1:PREFIX]))
        try:
            fields = from_avro(self._deserializer(value), schema)
        except Exception as wrong:
            raise InvalidMessageError(f"A message on {topic} can't be read: {first_line(wrong)}.") from None
        if not isinstance(fields, dict):
            raise InvalidMessageError(f"A message on {topic} is a {type(fields).__name__}, not a record.")
        return fields

    def close(self) -> None:
        """Give the connections to the registry back."""
        self._client.close()

    def _written_with(self, topic: str, number: int) -> Any:
        with self._explained():
            try:
                return json.loads(str(self._client.get_schema(number).schema_str))
            except SchemaRegistryError as failed:
                if failed.http_status_code != NOT_FOUND:
                    raise
                raise InvalidMessageError(
                    f"A message on {topic} was written with schema {number}, which {self._where} does not have."
                ) from None

    def _writer(self, topic: str) -> tuple[dict[str, Any], "AvroSerializer"]:
        if topic not in self._writers:
            ours = topic_schema(topic)
            with self._explained():
                schema = self._latest(topic) if ours is None else Schema(json.dumps(ours), "AVRO")
                self._have_registered(topic, schema)
                serializer = AvroSerializer(self._client, schema, conf=_serializer_properties())
            self._writers[topic] = json.loads(str(schema.schema_str)), serializer
        return self._writers[topic]

    def _have_registered(self, topic: str, schema: "Schema") -> None:
        """The registry is asked first: it may let us read and not write."""
        try:
            self._client.lookup_schema(subject(topic), schema)
        except SchemaRegistryError as failed:
            if failed.http_status_code != NOT_FOUND:
                raise
            self._client.register_schema(subject(topic), schema)
            self._client.lookup_schema(subject(topic), schema)

    def _latest(self, topic: str) -> "Schema":
        """Of a topic that is not named as ours are."""
        try:
            return self._client.get_latest_version(subject(topic)).schema
        except SchemaRegistryError as failed:
            if failed.http_status_code != NOT_FOUND:
                raise
            raise SchemaRefusedError(
                f"The schema registry at {self._where} has nothing for {topic}. Register the schema of the topic that "
                f"{topic} stands for, from schemas/avro, as {subject(topic)}."
            ) from None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What goes wrong with the registry, as our errors. All that time or a person can mend may be tried again."""
        try:
            yield
        except VtryonError:
            raise
        except SchemaRegistryError as failed:
            kind = SchemaRefusedError if failed.http_status_code in REFUSED else RegistryUnavailableError
            raise kind(f"The schema registry at {self._where} answered: {first_line(failed)}.") from None
        except Exception as failed:  # the HTTP client's errors are those of a package that may change
            raise RegistryUnavailableError(
                f"The schema registry at {self._where} doesn't answer: {first_line(failed)}. "
                "Check SCHEMA_REGISTRY_URL and SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO."
            ) from failed


def _client_properties(settings: KafkaSettings) -> dict[str, Any]:
    properties = {"url": settings.schema_registry_url, "timeout": TIMEOUT, "max.retries": 2, "retries.wait.ms": 200}
    secret = settings.schema_registry_basic_auth_user_info
    return properties if secret is None else properties | {"basic.auth.user.info": secret.get_secret_value()}


def _serializer_properties() -> dict[str, Any]:
    return {"auto.register.schemas": False, "subject.name.strategy": topic_subject_name_strategy}


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _value_on(topic: str) -> SerializationContext:
    return SerializationContext(topic, MessageField.VALUE)
