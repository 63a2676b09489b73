"""A whole try-on, and one that fails, with every message in Avro."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.over_kafka import complete, send_requests
from orchestrator.listening import Listener
from orchestrator.models import TryOnFailure, TryOnSuccess
from orchestrator.restore import restored
from shared_utils.stage import Stage
from shared_utils.transports.kafka import host, topics
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.avro import AvroCodec
from shared_utils.transports.kafka.dead_letters import ERROR_CODE, dead_letters
from shared_utils.transports.kafka.reading import read_to_the_end
from shared_utils.transports.kafka.settings import WorkerSettings
from tests.conftest import Stages
from tests.kafka.orchestra import Orchestra, orchestra_on
from tests.kafka.registry import Registry
from tests.kafka.support import connection, emptied, fresh, in_thread

SMALL: dict[str, Any] = {"megapixels": 0.02, "steps": 1, "seed": 2**64 - 1}


def ask(orchestra: Orchestra, codec: AvroCodec, person: Path, garment: Path) -> TryOnSuccess | TryOnFailure:
    settings = orchestra.settings
    pictures = {"person_image_path": str(garment), "garment_image_path": str(garment)}
    request = complete(pictures | SMALL, settings) | {"person_image_path": str(person)}
    with Listener(settings, codec, str(request["correlation_id"])) as listener:
        send_requests(settings, codec, [request])
        return next(news for news in listener.news() if isinstance(news, TryOnSuccess | TryOnFailure))


@pytest.mark.usefixtures("comfy")
def test_every_message_in_avro(
    apache_kafka: ApacheKafka, registry: Registry, stages: Stages, examples: Path, tmp_path: Path
) -> None:
    emptied(apache_kafka)
    avro: dict[str, Any] = {"kafka_value_format": "avro", "schema_registry_url": registry.url}
    settings = WorkerSettings(**connection(apache_kafka) | avro, kafka_instance_id=fresh())
    four: list[Stage] = [stages.latent_encoder, stages.text_encoder, stages.sampling, stages.decoding]
    with closing(AvroCodec(settings)) as codec, orchestra_on(apache_kafka, tmp_path) as orchestra:
        orchestra.engine(**avro)
        with in_thread(lambda: host.run_workers(four, settings), "four stages"):
            garment = examples / "garment.png"
            failed = ask(orchestra, codec, tmp_path / "nobody.png", garment)
            done = ask(orchestra, codec, examples / "person_masked.png", garment)
        assert isinstance(failed, TryOnFailure)
        assert failed.error_code == "IMAGE_NOT_FOUND"
        assert isinstance(done, TryOnSuccess), done
        assert (Path(done.image_path).is_file(), done.seed) == (True, SMALL["seed"])

        for topic in (
            topics.TRYON_REQUESTS,
            topics.TRYON_PROGRESS,
            topics.TRYON_STATUS,
            topics.response_topic("decoding"),
        ):
            values = [bytes(record.value() or b"") for record in read_to_the_end(settings, topic)]
            assert values, topic
            assert all(value[:1] == b"\x00" for value in values), f"{topic} is not in Avro"
        (letter,) = dead_letters(settings, topics.TRYON_REQUESTS)
        assert letter.headers[ERROR_CODE] == "IMAGE_NOT_FOUND"
        sent_again = codec.decode(topics.TRYON_REQUESTS, bytes(letter.record.value() or b""))
        assert sent_again["person_image_path"] == str(tmp_path / "nobody.png")
        ended = [shelf.ended for shelf in restored(settings, codec, range(4)).values()]
        assert sum(len(names) for names in ended) == 2
