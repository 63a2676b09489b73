"""Write schemas/ from the contracts: what lies on the topics, in Avro, JSON Schema and AsyncAPI.

    python scripts/generate_schemas.py                   write the schemas
    python scripts/generate_schemas.py --check           fail if they are not what the contracts say, or if a released
                                                         version would not understand them, or they not it
    python scripts/generate_schemas.py --release 1.2.0   keep the Avro schemas as those of a released version

avro/<topic>-value.avsc is named as a schema registry names it; an answer's has the fields of success and of error.
released/<version>/ holds copies of avro/, made once for each release and never changed: --check holds the present
schemas against every one of them, since topics keep messages of all of them.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from decoding.models import DecodingRequest, DecodingResponse
from latent_encoder.models import LatentEncoderRequest, LatentEncoderResponse
from orchestrator.models import TryOnFailure, TryOnRequest, TryOnSuccess
from orchestrator.state import TryOn
from sampling.models import SamplingRequest, SamplingResponse
from shared_utils import __version__
from shared_utils.contracts import Cancel, Failure, Progress
from shared_utils.schemas.asyncapi import Channel, asyncapi
from shared_utils.schemas.avro import avro_schema
from shared_utils.schemas.compatibility import problems
from shared_utils.schemas.files import FOLDER, subject
from shared_utils.transports.kafka import dead_letters, messages, topics
from text_encoder.models import TextEncoderRequest, TextEncoderResponse

STAGES: dict[str, tuple[type[BaseModel], type[BaseModel]]] = {
    "latent_encoder": (LatentEncoderRequest, LatentEncoderResponse),
    "text_encoder": (TextEncoderRequest, TextEncoderResponse),
    "sampling": (SamplingRequest, SamplingResponse),
    "decoding": (DecodingRequest, DecodingResponse),
}
CONTRACTS: dict[str, tuple[type[BaseModel], ...]] = {
    topics.TRYON_REQUESTS: (TryOnRequest,),
    topics.TRYON_RESPONSES: (TryOnSuccess, TryOnFailure),
    topics.TRYON_PROGRESS: (Progress,),
    topics.TRYON_STATUS: (TryOn,),
    topics.TRYON_CANCELS: (Cancel,),
    topics.STAGE_CANCELS: (Cancel,),
    **{topics.request_topic(stage): (request,) for stage, (request, _) in STAGES.items()},
    **{topics.response_topic(stage): (success, Failure) for stage, (_, success) in STAGES.items()},
}
# Not every record is called like its contract: this one holds both kinds of answer.
NAMES = {topics.TRYON_RESPONSES: "TryOnResponse"}
DEAD = "-dlq"

OF_ALL = {
    messages.CORRELATION_ID: "The try-on.",
    **dict.fromkeys(messages.TRACE_HEADERS, "W3C's; whatever comes with a request goes on with all that follows."),
}
OF_REQUESTS = {dead_letters.REPLAYED_FROM: "The dead letter that this is sent again from."}
OF_STAGE_REQUESTS = OF_REQUESTS | {
    messages.REPLY_PARTITION: "The partition of the response topic that the answer belongs on.",
    messages.DEADLINE: "Seconds since 1970; after that nobody waits for the answer.",
}
OF_STAGE_RESPONSES = {
    messages.WORKER: "Who answered.",
    messages.REQUEST_PARTITION: "Where the request lay.",
}
OF_STATUS = {messages.STATE: "The state that the record holds."}
OF_DEAD_LETTERS = {
    dead_letters.ERROR_CODE: "Why it lies here: stable, match on this one.",
    dead_letters.ERROR_MESSAGE: "Why it lies here, in words.",
    dead_letters.FAILED_AT: "When it failed, ISO 8601.",
    dead_letters.HISTORY: "What was tried and how it went, as JSON.",
    dead_letters.ORIGINAL_TOPIC: "Where it lay.",
    dead_letters.ORIGINAL_PARTITION: "Where it lay.",
    dead_letters.ORIGINAL_OFFSET: "Where it lay.",
}
FROM_OUTSIDE = (topics.TRYON_REQUESTS, topics.TRYON_CANCELS, *(topics.request_topic(stage) for stage in STAGES))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--check", action="store_true", help="write nothing, tell what is wrong")
    kinds.add_argument("--release", metavar="VERSION", help="copy avro/ to released/VERSION/")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the schemas are (default: schemas/)")
    options = parser.parse_args()
    if options.check or options.release:
        wrong = [*drift(options.folder), *breaks(options.folder)]
        print("\n".join(wrong), end="\n" if wrong else "", file=sys.stderr)
        if not wrong and options.release:
            shutil.copytree(options.folder / "avro", options.folder / "released" / options.release)
        return 1 if wrong else 0
    write(options.folder)
    return 0


def files() -> dict[str, str]:
    """What belongs into the folder, by its path there."""
    avro = {f"avro/{subject(topic)}.avsc": _json(avro_of(topic)) for topic in CONTRACTS}
    contracts = {contract for contracts in CONTRACTS.values() for contract in contracts}
    schemas = {f"json/{contract.__name__}.json": _json(contract.model_json_schema()) for contract in contracts}
    document = yaml.safe_dump(asyncapi(__version__, channels()), sort_keys=False, width=120, allow_unicode=True)
    return avro | schemas | {"asyncapi.yaml": document}


def avro_of(topic: str) -> dict[str, Any]:
    return avro_schema(*CONTRACTS[topic], name=NAMES.get(topic))


def channels() -> Iterator[Channel]:
    for topic in topics.TOPICS:
        contracts = CONTRACTS[topic.name.removesuffix(DEAD)]
        action = "send" if topic.name in FROM_OUTSIDE else "receive"
        yield Channel(topic.name, topic.purpose, contracts, OF_ALL | headers_of(topic.name), action)


def headers_of(topic: str) -> dict[str, str]:
    """What a topic's records have besides the headers of all."""
    own = {topics.TRYON_REQUESTS: OF_REQUESTS, topics.TRYON_STATUS: OF_STATUS}
    own |= {topics.request_topic(stage): OF_STAGE_REQUESTS for stage in STAGES}
    own |= {topics.response_topic(stage): OF_STAGE_RESPONSES for stage in STAGES}
    found = own.get(topic.removesuffix(DEAD), {})
    return found | OF_DEAD_LETTERS if topic.endswith(DEAD) else found


def write(folder: Path) -> None:
    wanted = files()
    for stray in _present(folder) - wanted.keys():
        (folder / stray).unlink()
    for name, text in wanted.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def drift(folder: Path) -> list[str]:
    """The files that are not what the contracts say."""
    wanted, present = files(), _present(folder)
    differing = {name for name in wanted.keys() & present if (folder / name).read_text("utf-8") != wanted[name]}
    names = sorted(differing | (wanted.keys() ^ present))
    return [f"{folder.name}/{name} is not what the contracts say: run `make schemas`." for name in names]


def breaks(folder: Path) -> list[str]:
    """Where the present contracts and a released version do not understand each other."""
    found = []
    for file in sorted(folder.glob("released/*/*.avsc")):
        topic = file.stem.removesuffix(subject(""))
        if topic not in CONTRACTS:
            found.append(f"{file.parent.name} had the topic {topic}, which has no contract any more.")
            continue
        old = json.loads(file.read_text("utf-8"))
        found += [f"Against {file.parent.name}: {problem}" for problem in problems(old, avro_of(topic))]
    return found


def _present(folder: Path) -> set[str]:
    patterns = ("avro/*", "json/*", "asyncapi.yaml")
    return {str(file.relative_to(folder)) for pattern in patterns for file in folder.glob(pattern)}


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
