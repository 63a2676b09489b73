"""Taking up the try-ons of some partitions again: after a start, a crash, or a rebalance."""

import logging
from collections.abc import Collection

from pydantic import ValidationError

from orchestrator.memory import Shelf
from orchestrator.state import TryOn
from shared_utils.transports.kafka.messages import STATE, Codec, InvalidMessageError, headers_of
from shared_utils.transports.kafka.reading import read_to_the_end
from shared_utils.transports.kafka.settings import KafkaSettings
from shared_utils.transports.kafka.topics import TRYON_STATUS

log = logging.getLogger("vtryon.orchestrator")


def restored(settings: KafkaSettings, codec: Codec, numbers: Collection[int]) -> dict[int, Shelf]:
    """What tryon-status holds, up to its stable end: what a dead orchestrator was about to commit is not missed."""
    shelves = {number: Shelf() for number in numbers}
    latest: dict[int, dict[str, bytes]] = {number: {} for number in numbers}
    for record in read_to_the_end(settings, TRYON_STATUS, dict.fromkeys(numbers)):
        number, key, value = record.partition() or 0, record.key(), record.value()
        if key is None:
            continue
        name = bytes(key).decode("utf-8", "replace")
        if value is not None and headers_of(record).get(STATE) == "running":
            latest[number][name] = bytes(value)
        else:
            latest[number].pop(name, None)
            shelves[number].end(name)
    for number, values in latest.items():
        for name, value in values.items():
            tryon = _read(codec, name, value)
            if tryon is not None:
                shelves[number].put(tryon)
    log.info("took up %d try-ons on %d partitions", sum(len(shelf.running) for shelf in shelves.values()), len(shelves))
    return shelves


def _read(codec: Codec, name: str, value: bytes) -> TryOn | None:
    try:
        return TryOn.model_validate(codec.decode(TRYON_STATUS, value))
    except (InvalidMessageError, ValidationError) as wrong:
        # Nobody but orchestrators writes there. One that can't read what another wrote must not stop the others' work.
        log.error("the state of try-on %s can't be read, and it is not gone on with: %s", name, wrong)  # noqa: TRY400
        return None
