"""Write schemas/ from the contracts: what lies on the topics, in Avro, JSON Schema and AsyncAPI, and the gRPC services.
And triton_models/, the model repository that `vtryon triton build` makes without options.

    python scripts/generate_schemas.py                   write the schemas
    python scripts/generate_schemas.py --check           fail if they are not what the contracts say, or if a released
                                                         version would not understand them, or they not it
    python scripts/generate_schemas.py --release 1.2.0   keep the schemas as those of a released version

avro/<topic>-value.avsc is named as a schema registry names it; an answer's has the fields of success and of error.
vtryon.proto keeps the numbers that its fields have in the file that is there and in the released ones; the Python
modules made of it, and of Triton's kserve.proto, lie where they are used. released/<version>/ holds copies of avro/ and
vtryon.proto, made once for each release and never changed: --check holds the present schemas against every one of them,
since topics keep messages of all of them, and clients stay as old as they are.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from pydantic import BaseModel

from decoding.models import DecodingRequest, DecodingResponse
from latent_encoder.models import LatentEncoderRequest, LatentEncoderResponse
from orchestrator.gateway.models import TryOnView
from orchestrator.gateway.rpc.calls import (
    CancelRequest,
    GetRequest,
    SubmitRequest,
    SubmitResponse,
    WatchEvent,
    WatchRequest,
)
from orchestrator.models import TryOnFailure, TryOnRequest, TryOnSuccess
from orchestrator.state import TryOn
from sampling.models import SamplingRequest, SamplingResponse
from shared_utils import __version__
from shared_utils.contracts import Cancel, Failure, Progress
from shared_utils.schemas.asyncapi import Channel, asyncapi
from shared_utils.schemas.avro import avro_schema
from shared_utils.schemas.compatibility import problems
from shared_utils.schemas.files import FOLDER, subject
from shared_utils.schemas.proto import Method, Service, numbers, proto_file
from shared_utils.schemas.proto_compatibility import proto_problems
from shared_utils.schemas.protoc import NAME, ProtoError, described, python_modules
from shared_utils.telemetry import traces
from shared_utils.transports.kafka import dead_letters, messages, topics
from shared_utils.transports.triton.repository import FOLDER as REPOSITORY
from shared_utils.transports.triton.repository import BuildOptions, build
from shared_utils.transports.triton.tensors import StageContract
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

PROTO = f"schemas/{NAME}"
MODULES = "shared_utils/transports/grpc/generated"
KSERVE = "kserve.proto"
TRITON = FOLDER.parent / "shared_utils" / "transports" / "triton"
TRITON_MODULES = "shared_utils/transports/triton/generated"
PATTERNS = (
    "schemas/avro/*",
    "schemas/json/*",
    "schemas/asyncapi.yaml",
    PROTO,
    f"{MODULES}/*_pb2.py*",
    f"{REPOSITORY}/*/config.pbtxt",
    f"{REPOSITORY}/*/1/model.py",
    f"{REPOSITORY}/*/1/.gitkeep",
    f"{TRITON_MODULES}/*_pb2.py*",
)
"""What lies where this script writes."""
STAGE_METHODS = {
    "latent_encoder": ("encode", "Encodes the picture of the person."),
    "text_encoder": ("encode", "Encodes the prompts with the pictures that they speak of."),
    "sampling": ("sample", "Makes the latent of the new picture."),
    "decoding": ("decode", "Makes the new picture of its latent."),
}
"""What each stage does, as its attribute `verb` has it, and in words."""
ABOUT_PROTO = (
    "The gRPC services of vtryon. Written by scripts/generate_schemas.py from the contracts in the code: don't change "
    "it by hand. A field that is absent is told from one that is zero or empty. What can't be done ends with a status "
    "that has a google.rpc.ErrorInfo of the domain vtryon: its reason is the error's stable code, and its metadata say "
    "whether the same request may succeed later (retryable: true or false)."
)


def stage_service(stage: str) -> Service:
    verb, purpose = STAGE_METHODS[stage]
    name = stage.title().replace("_", "")
    return Service(name, f"The stage {stage}.", [Method(verb.title(), purpose, *STAGES[stage])])


TRYON_SERVICE = Service(
    "TryOn",
    "Whole try-ons, by a gateway.",
    [
        Method("Submit", "Asks for a try-on with each garment.", SubmitRequest, SubmitResponse),
        Method("Get", "Tells how far a try-on is.", GetRequest, TryOnView),
        Method(
            "Watch",
            "Tells what happens to a try-on, from the event after the cursor on, until it has ended.",
            WatchRequest,
            WatchEvent,
            is_stream=True,
        ),
        Method("Cancel", "Has a try-on stopped.", CancelRequest, TryOnView),
    ],
)
SERVICES = [*(stage_service(stage) for stage in STAGES), TRYON_SERVICE]

OF_ALL = {
    messages.CORRELATION_ID: "The try-on.",
    **dict.fromkeys(traces.HEADERS, "W3C's; whatever comes with a request goes on with all that follows."),
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
    kinds.add_argument("--release", metavar="VERSION", help="copy the schemas to schemas/released/VERSION/")
    parser.add_argument("--root", type=Path, default=FOLDER.parent, help="where the folder schemas/ is")
    options = parser.parse_args()
    try:
        wrong = _done(options.root, options.check, options.release)
    except ProtoError as unusable:
        wrong = [str(unusable)]
    print("\n".join(wrong), end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


def _done(root: Path, check: bool, version: str | None) -> list[str]:
    """Do what was asked for; what is wrong."""
    if not (check or version):
        write(root)
        return []
    wrong = [*drift(root), *breaks(root)]
    if version and not wrong:
        release(root, version)
    return wrong


def files(root: Path) -> dict[str, str]:
    """What there should be, by its path below the root."""
    avro = {f"schemas/avro/{subject(topic)}.avsc": _json(avro_of(topic)) for topic in CONTRACTS}
    contracts = {contract for contracts in CONTRACTS.values() for contract in contracts}
    schemas = {f"schemas/json/{contract.__name__}.json": _json(contract.model_json_schema()) for contract in contracts}
    document = yaml.safe_dump(asyncapi(__version__, channels()), sort_keys=False, width=120, allow_unicode=True)
    proto = proto_of(root)
    modules = {f"{MODULES}/{name}": text for name, text in python_modules(proto).items()}
    return avro | schemas | {"schemas/asyncapi.yaml": document, PROTO: proto} | modules | triton_files()


def triton_files() -> dict[str, str]:
    """The model repository, and the protocol that Triton is spoken to in."""
    contracts = [StageContract(name, *contract) for name, contract in STAGES.items()]
    repository = {f"{REPOSITORY}/{file}": text for file, text in build(contracts, BuildOptions()).items()}
    modules = python_modules((TRITON / KSERVE).read_text("utf-8"), KSERVE)
    return repository | {f"{TRITON_MODULES}/{name}": text for name, text in modules.items()}


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


def proto_of(root: Path) -> str:
    """The services, with the numbers that their messages' fields have already."""
    earlier = [*_released(root, NAME), *(file for file in [root / PROTO] if file.exists())]
    return proto_file(ABOUT_PROTO, SERVICES, numbers(*(_described(file) for file in earlier)))


def write(root: Path) -> None:
    wanted = files(root)
    for stray in _present(root) - wanted.keys():
        (root / stray).unlink()
    for name, text in wanted.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def release(root: Path, version: str) -> None:
    folder = root / "schemas" / "released" / version
    shutil.copytree(root / "schemas" / "avro", folder)
    shutil.copy(root / PROTO, folder)


def drift(root: Path) -> list[str]:
    """The files that are not what the contracts say."""
    wanted, present = files(root), _present(root)
    differing = {name for name in wanted.keys() & present if (root / name).read_text("utf-8") != wanted[name]}
    names = sorted(differing | (wanted.keys() ^ present))
    return [f"{name} is not what the contracts say: run `make schemas`." for name in names]


def breaks(root: Path) -> list[str]:
    """Where the present contracts and a released version do not understand each other."""
    proto = described(proto_of(root))
    found = [
        f"Against {file.parent.name}: {problem}"
        for file in _released(root, NAME)
        for problem in proto_problems(_described(file), proto)
    ]
    for file in _released(root, "*.avsc"):
        topic = file.stem.removesuffix(subject(""))
        if topic not in CONTRACTS:
            found.append(f"{file.parent.name} had the topic {topic}, which has no contract any more.")
            continue
        old = json.loads(file.read_text("utf-8"))
        found += [f"Against {file.parent.name}: {problem}" for problem in problems(old, avro_of(topic))]
    return found


def _released(root: Path, pattern: str) -> list[Path]:
    return sorted((root / "schemas" / "released").glob(f"*/{pattern}"))


def _described(file: Path) -> FileDescriptorProto:
    try:
        return described(file.read_text("utf-8"))
    except ProtoError:
        raise ProtoError(f"{file} can't be read: fields keep the numbers that it gives them, so restore it.") from None


def _present(root: Path) -> set[str]:
    found = [file for pattern in PATTERNS for file in root.glob(pattern)]
    return {str(file.relative_to(root)) for file in found}


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
