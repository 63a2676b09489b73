"""Which way values are written: the setting KAFKA_VALUE_FORMAT."""

from shared_utils.transports.kafka.messages import Codec, JsonCodec
from shared_utils.transports.kafka.settings import KafkaSettings


def make_codec(settings: KafkaSettings) -> Codec:
    if settings.kafka_value_format == "json":
        return JsonCodec()
    # Avro's libraries are an extra, so they are looked for only by those who use them.
    from shared_utils.transports.kafka.avro import AvroCodec  # noqa: PLC0415

    return AvroCodec(settings)
