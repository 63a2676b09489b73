"""The documents say what the code says: fields, defaults, limits, codes, settings, topics, commands, links."""

import argparse
import ast
import importlib
import importlib.util
import inspect
import json
import pkgutil
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import confluent_kafka
import generate_schemas
import pytest
from dotenv import dotenv_values
from pydantic import BaseModel, TypeAdapter

from decoding.service import Decoding
from latent_encoder.service import LatentEncoder
from orchestrator.cli import dlq, doctor, kafka, model_files, submit, topics, triton, tryons
from orchestrator.cli import models as models_command
from orchestrator.cli.server import ServerSettings
from orchestrator.config import Config
from orchestrator.files import FilesConfig, files_config
from orchestrator.gateway import errors as gateway_errors
from orchestrator.gateway.core import Gateway
from orchestrator.gateway.http.app import make_app
from orchestrator.gateway.models import StepView, TryOnView
from orchestrator.gateway.sender import Sender
from orchestrator.gateway.settings import GatewayConfig
from orchestrator.gateway.view.follower import Follower
from orchestrator.gateway.view.view import View
from orchestrator.main import _parser as _parser_of_the_orchestrator
from orchestrator.models import StepTiming, TryOnFailure, TryOnRequest, TryOnSuccess
from sampling.service import Sampling, sample_latent
from shared_utils import errors, ports, turns
from shared_utils.comfy import provision
from shared_utils.comfy.loader import Models
from shared_utils.contracts import Failure, Response
from shared_utils.settings import Settings
from shared_utils.stage import parse
from shared_utils.transports import kafka as kafka_transport
from shared_utils.transports.cli.standalone import _parser
from shared_utils.transports.files import inbox
from shared_utils.transports.files.command import files_settings
from shared_utils.transports.files.settings import FilesSettings
from shared_utils.transports.grpc.command import grpc_settings
from shared_utils.transports.grpc.generated.vtryon_pb2 import DESCRIPTOR
from shared_utils.transports.grpc.settings import GrpcSettings
from shared_utils.transports.grpc.statuses import STATUSES as GRPC_STATUSES
from shared_utils.transports.grpc.statuses import status_of as grpc_status_of
from shared_utils.transports.kafka.command import worker_settings
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.settings import KafkaSettings, WorkerSettings
from shared_utils.transports.kafka.topics import (
    DAY_MS,
    TOPICS,
    TRYON_REQUESTS,
    TRYON_RESPONSES,
    request_topic,
    response_topic,
)
from shared_utils.transports.kafka.topics import group as group_of
from shared_utils.transports.kafka.worker import DeadlineExceededError, Names
from shared_utils.transports.rest import errors as rest_errors
from shared_utils.transports.rest.codes import errors_of
from shared_utils.transports.rest.command import rest_settings
from shared_utils.transports.rest.errors import (
    MediaTypeUnknownError,
    MethodNotAllowedError,
    PathUnknownError,
    TooLargeError,
)
from shared_utils.transports.rest.openapi import document as openapi_of
from shared_utils.transports.rest.settings import RestSettings
from shared_utils.transports.rest.statuses import STATUSES as HTTP_STATUSES
from shared_utils.transports.rest.statuses import status_of
from shared_utils.transports.triton import errors as triton_errors
from shared_utils.transports.triton import wheels
from shared_utils.transports.triton.settings import TritonSettings
from text_encoder.service import TextEncoder

ROOT = Path(__file__).resolve().parent.parent
STAGES: dict[str, Any] = {stage.name: stage for stage in (LatentEncoder, TextEncoder, Sampling, Decoding)}
REQUESTS: dict[str, Any] = {name: stage.request_type for name, stage in STAGES.items()} | {"orchestrator": TryOnRequest}
CONFIGS: dict[str, Any] = {name: stage.options_type for name, stage in STAGES.items()} | {"orchestrator": Config}
GATEWAY = "docs/GATEWAY.md"
KAFKA = "docs/KAFKA_SCHEMAS.md"
# What the stages share answers with these, whatever the stage.
OF_ANY_STAGE = (
    errors.InvalidRequestError,
    errors.PathNotAllowedError,
    errors.OutputDirNotWritableError,
    errors.StorageFullError,
    errors.OutOfMemoryError,
    errors.CancelledError,
    errors.ComfyUIInitializationError,
    errors.InternalError,
)
# Folders that commands make.
MADE = {".git", ".venv", "out", "output", "models"}
PARTS = [path for path in ROOT.iterdir() if path.name not in MADE and not path.name.endswith("_cache")]
PATHS = {path.relative_to(ROOT) for part in PARTS for path in (part, *part.rglob("*"))}
DOCUMENTS = sorted(str(path) for path in PATHS if path.suffix == ".md")

each_stage = pytest.mark.parametrize("name", STAGES)
each_service = pytest.mark.parametrize("name", REQUESTS)
each_document = pytest.mark.parametrize("document", DOCUMENTS)


# ---- reading Markdown


def read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(markdown: str, language: str = r"\w*") -> list[str]:
    """What stands in fences of that language."""
    return re.findall(rf"^```{language}(?: [^\n]*)?\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL)


def spans(markdown: str) -> list[str]:
    """What stands in backticks, fences left out."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL))


def section(markdown: str, heading: str) -> str:
    """What stands under a heading, up to the next one of whatever level."""
    found = re.search(rf"^#+ {heading}\n(.*?)(?=^#+ |\Z)", markdown, re.MULTILINE | re.DOTALL)
    assert found, f"no heading {heading!r}"
    return found.group(1)


def table(markdown: str, column: str) -> dict[str, dict[str, str]]:
    """The rows of the table whose first column has that title, by what stands in it."""
    lines = [[cell.strip() for cell in line.strip("|\n ").split(" |")] for line in markdown.splitlines()]
    start = next(number for number, cells in enumerate(lines) if cells[0] == column and len(cells) > 1)
    rows: dict[str, dict[str, str]] = {}
    for cells in lines[start + 2 :]:
        if len(cells) == 1:
            break
        name = cells[0].strip("`")
        assert name not in rows, f"{name} stands in the table twice"
        rows[name] = dict(zip(lines[start], cells, strict=True))
    return rows


def commands(markdown: str) -> Iterator[list[str]]:
    """The words of each command in the shell blocks."""
    for block in blocks(markdown, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


# ---- the contracts


def kinds(schema: Mapping[str, Any]) -> list[str]:
    """The JSON types that a field may have."""
    return ["object" if "$ref" in choice else choice["type"] for choice in schema.get("anyOf", [schema])]


def documented_kinds(cell: str) -> list[str]:
    return [choice.split()[0].replace("list", "array") for choice in cell.split(" or ")]


def bounds(schema: Mapping[str, Any]) -> set[str]:
    """The limits of a field as words."""
    found = set()
    for choice in schema.get("anyOf", [schema]):
        names = ("minimum", "maximum", "minLength", "maxLength")
        found |= {f"{choice[name]:g}" for name in names if name in choice}
        found |= set(choice.get("enum", ()))
        found |= {"2^64"} if choice.get("exclusiveMaximum") == 2**64 else set()
    return found


def shown_default(field: str, schema: Mapping[str, Any]) -> str:
    if field in schema.get("required", ()):
        return "required"
    properties = schema["properties"][field]
    if "default" not in properties:
        return {"request_id": "made", "timestamp": "now"}[field]
    words = {None: "null", "": "empty", True: "`true`", False: "`false`"}
    value = properties["default"]
    return words[value] if value is None or value == "" or isinstance(value, bool) else f"`{value}`"


def response_type(name: str) -> Any:
    return STAGES[name].response_type


@each_service
def test_request_table(name: str) -> None:
    schema = REQUESTS[name].model_json_schema()
    rows = table(section(read(f"{name}/API.md"), "Request"), "Field")
    assert rows.keys() == schema["properties"].keys()
    for field, properties in schema["properties"].items():
        row = rows[field]
        assert documented_kinds(row["Type"]) == kinds(properties), field
        assert row["Default"] == shown_default(field, schema), field
        assert bounds(properties) <= set(re.split(r"[ ,;`]+", row["Limits"])), field


@each_stage
def test_response_tables(name: str) -> None:
    document = read(f"{name}/API.md")
    response = response_type(name)
    failure = set(Failure.model_fields) - set(Response.model_fields)
    for heading, model, fields in (
        ("Response", response, set(response.model_fields)),
        ("Metadata", response.model_fields["metadata"].annotation, None),
        ("Errors", Failure, failure),
    ):
        check_fields(section(document, heading), model, fields)


def test_response_tables_of_the_orchestrator() -> None:
    document = read("orchestrator/API.md")
    check_fields(section(document, "Response"), TryOnSuccess)
    check_fields(section(document, "Timings"), StepTiming)
    check_fields(section(document, "Errors"), TryOnFailure, set(TryOnFailure.model_fields) - set(Response.model_fields))


def check_fields(text: str, model: type[BaseModel], fields: set[str] | None = None) -> None:
    properties = model.model_json_schema(mode="serialization")["properties"]
    rows = table(text, "Field")
    assert rows.keys() == (properties.keys() if fields is None else fields)
    for field, row in rows.items():
        assert documented_kinds(row["Type"]) == kinds(properties[field]), field


@each_stage
def test_examples(name: str) -> None:
    document = read(f"{name}/API.md")
    request, response, failure, asked, answered = (json.loads(block) for block in blocks(document, "json"))
    stage, answer = STAGES[name], response_type(name)
    for each in (request, asked):
        assert each.keys() <= stage.request_type.model_fields.keys()
        stage.request_type.model_validate(each)
    for each in (response, answered):
        assert each.keys() == answer.model_fields.keys()
        assert each["metadata"].keys() == answer.model_fields["metadata"].annotation.model_fields.keys()
        answer.model_validate(each)
    assert (asked["request_id"], asked["correlation_id"]) == (answered["request_id"], answered["correlation_id"])
    check_failure(failure, document)


def test_example_of_the_orchestrator() -> None:
    (request,) = (json.loads(block) for block in blocks(read("orchestrator/API.md"), "json"))
    assert request.keys() <= TryOnRequest.model_fields.keys()
    TryOnRequest.model_validate(request)


def test_example_in_the_readme() -> None:
    (failure,) = (json.loads(block) for block in blocks(read("docs/ERRORS.md"), "json"))
    check_failure(failure, read("docs/ERRORS.md"))


def check_failure(failure: dict[str, Any], document: str) -> None:
    assert failure.keys() == Failure.model_fields.keys()
    Failure.model_validate(failure)
    assert f"| `{failure['error_code']}` |" in document


# ---- errors


def codes_of(name: str) -> dict[str, str]:
    module = importlib.import_module(f"{name}.errors")
    kinds = {*OF_ANY_STAGE, *(getattr(module, error) for error in module.__all__)}
    return {kind.code: "yes" if kind.retryable else "no" for kind in kinds}


@each_stage
def test_error_codes(name: str) -> None:
    rows = table(section(read(f"{name}/API.md"), "Error codes"), "Code")
    assert {code: row["Retry"] for code, row in rows.items()} == codes_of(name)


def test_error_codes_in_the_readme() -> None:
    documented = {code: row["Retry"] for code, row in table(section(read("docs/ERRORS.md"), "Errors"), "Code").items()}
    of_stages = {code: retry for name in STAGES for code, retry in codes_of(name).items()}
    everything = {kind.code for kind in vars(errors).values() if inspect.isclass(kind) and hasattr(kind, "code")}
    assert documented == of_stages
    assert everything <= documented.keys()


def kafka_errors() -> set[type[errors.VtryonError]]:
    """The errors that some module of the Kafka side has of its own."""
    modules = (importlib.import_module(each.name) for each in walked(kafka_transport))
    kinds = (kind for module in modules for kind in vars(module).values() if inspect.isclass(kind))
    return {kind for kind in kinds if issubclass(kind, errors.VtryonError) and kind.__module__.startswith(PACKAGE)}


PACKAGE = kafka_transport.__name__


def walked(package: Any) -> Iterator[pkgutil.ModuleInfo]:
    return pkgutil.iter_modules(package.__path__, f"{package.__name__}.")


def orchestrator_codes() -> set[str]:
    """Those of a try-on itself, which are written where they arise."""
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "orchestrator").glob("*.py")]
    return {code for source in sources for code in re.findall(r'(?:code=| or )"([A-Z_]+)"', source)}


def test_error_codes_of_kafka_in_the_readme() -> None:
    rows = table(section(read("docs/ERRORS.md"), "On Kafka besides"), "Code")
    retries = {kind.code: "yes" if kind.retryable else "no" for kind in kafka_errors()}
    known = {kind.code for kind in vars(errors).values() if inspect.isclass(kind) and hasattr(kind, "code")}
    assert rows.keys() == retries.keys() | (orchestrator_codes() - known)
    assert {code: row["Retry"] for code, row in rows.items() if code in retries} == retries


def test_error_codes_of_the_orchestrator() -> None:
    own = set(table(section(read("orchestrator/API.md"), "Error codes"), "Code"))
    assert own == orchestrator_codes() - {"INTERNAL_ERROR"} | {errors.InvalidRequestError.code}


@each_stage
def test_kafka_section(name: str) -> None:
    """Flags, environment and defaults of --mode kafka, and the codes that come with it."""
    text = section(read(f"{name}/API.md"), "Kafka")
    rows = {row["Environment"].strip("`"): row for row in table(text, "What").values()}
    names = Names.of(name, WorkerSettings())
    defaults = {
        "KAFKA_BOOTSTRAP_SERVERS": KafkaSettings().kafka_bootstrap_servers,
        "KAFKA_REQUEST_TOPIC": names.requests,
        "KAFKA_RESPONSE_TOPIC": names.responses,
        "KAFKA_CONSUMER_GROUP": group_of(name),
    }
    assert {variable: row["Default"].strip("`") for variable, row in rows.items()} == defaults
    for variable, row in rows.items():
        given = worker_settings(name, ["--mode", "kafka", row["Flag"].strip("`"), "changed"])
        assert getattr(given, variable.lower()) == "changed"
    codes = {kind.code: kind for kind in kafka_errors()}
    for code, row in table(text, "Code").items():
        assert row["Retry"] == ("yes" if codes[code].retryable else "no")
    assert DeadlineExceededError.code in table(text, "Code")
    assert f"Unset: {names.requests}, {names.responses}, {names.group}." in read(f"{name}/.env.example")


# ---- REST


def stage_of(name: str) -> Any:
    options = CONFIGS[name]()
    return STAGES[name](options, Models(options))


@each_stage
def test_calls_of_rest(name: str) -> None:
    described = openapi_of(stage_of(name))["paths"]
    calls = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    assert table(section(read(f"{name}/API.md"), "REST"), "Call").keys() == calls


@each_stage
def test_settings_of_rest(name: str) -> None:
    rows = {
        row["Environment"].strip("`"): row for row in table(section(read(f"{name}/API.md"), "REST"), "What").values()
    }
    own = set(RestSettings.model_fields) - set(Settings.model_fields)
    assert rows.keys() == {field.upper() for field in own}
    for field in own:
        row = rows[field.upper()]
        default = RestSettings.model_fields[field].default
        assert row["Default"] == (f"`{default:g}`" if isinstance(default, float) else f"`{default}`"), field
        if row["Flag"]:
            given = rest_settings(name, ["--mode", "rest", row["Flag"].strip("`"), "1"])
            assert str(getattr(given, field)) == "1"


@each_stage
def test_statuses_of_rest(name: str) -> None:
    document = read(f"{name}/API.md")
    kinds = errors_of(stage_of(name)) | {kind.code: kind for kind in (PathUnknownError, MethodNotAllowedError)}
    rows = table(section(document, "REST"), "Status")
    documented = {code: int(status) for status, row in rows.items() for code in spans(row["Codes"])}
    assert documented == {code: status_of(code) for code in kinds}
    besides = table(section(document, "REST"), "Code")
    assert besides.keys() == kinds.keys() - codes_of(name).keys()
    for code, row in besides.items():
        assert row["Retry"] == ("yes" if kinds[code].retryable else "no"), code


def check_curl(words: list[str]) -> None:
    """It asks one of the services for something that it has, in a way that it takes."""
    (url,) = (urlsplit(word) for word in words if word.startswith("http"))
    sent = [json.loads(data) for option, data in pairwise(words) if option == "--data"]
    described = [openapi_of(stage_of(name))["paths"] for name in STAGES]
    assert any(("post" if sent else "get") in paths.get(url.path, {}) for paths in described), url.path
    for fields in sent:
        assert ("--header", "Content-Type: application/json") in pairwise(words)
        assert any(is_request(name, url.path, fields) for name in STAGES), fields


def is_request(name: str, path: str, fields: dict[str, Any]) -> bool:
    known = REQUESTS[name].model_fields
    required = {field for field, info in known.items() if info.is_required()}
    return path == f"/v1/{STAGES[name].verb}" and required <= fields.keys() <= known.keys()


# ---- gRPC


@each_stage
def test_settings_of_grpc(name: str) -> None:
    text = section(read(f"{name}/API.md"), "gRPC")
    rows = {row["Environment"].strip("`"): row for row in table(text, "What").values()}
    own = set(GrpcSettings.model_fields) - set(Settings.model_fields)
    assert rows.keys() == {field.upper() for field in own}
    for field in own:
        row, default = rows[field.upper()], GrpcSettings.model_fields[field].default
        assert row["Default"] == (f"`{default:g}`" if isinstance(default, float) else f"`{default}`"), field
        if row["Flag"]:
            given = grpc_settings(name, ["--mode", "grpc", row["Flag"].strip("`"), "1"])
            assert str(getattr(given, field)) == "1"


@each_stage
def test_statuses_of_grpc(name: str) -> None:
    rows = table(section(read(f"{name}/API.md"), "gRPC"), "gRPC status")
    documented = {code: status.strip("`") for status, row in rows.items() for code in spans(row["Codes"])}
    of_http = {MediaTypeUnknownError.code, TooLargeError.code}
    assert documented == {code: grpc_status_of(code).name for code in errors_of(stage_of(name)) if code not in of_http}


@each_stage
def test_service_of_grpc(name: str) -> None:
    text = section(read(f"{name}/API.md"), "gRPC")
    service = "".join(word.title() for word in name.split("_"))
    described = DESCRIPTOR.services_by_name[service]
    assert {described.full_name, described.methods[0].name} <= set(spans(text))


# ---- the codes of all doors


def of_doors() -> dict[str, type[errors.VtryonError]]:
    modules = (ports, rest_errors, turns, inbox)
    return {kind.code: kind for module in modules for kind in own_errors(module)}


def own_errors(module: Any) -> Iterator[type[errors.VtryonError]]:
    """What a module has of its own, less what only others are made of."""
    kinds = (kind for kind in vars(module).values() if inspect.isclass(kind) and kind.__module__ == module.__name__)
    yield from (kind for kind in kinds if issubclass(kind, errors.VtryonError) and "code" in vars(kind))


@pytest.mark.parametrize(
    ("heading", "kinds"),
    [
        ("At a service's doors besides", of_doors()),
        ("On Triton besides", {kind.code: kind for module in (triton_errors, wheels) for kind in own_errors(module)}),
        ("At the gateway besides", {kind.code: kind for kind in own_errors(gateway_errors)}),
    ],
)
def test_error_codes_of_doors(heading: str, kinds: dict[str, type[errors.VtryonError]]) -> None:
    rows = table(section(read("docs/ERRORS.md"), heading), "Code")
    assert {code: row["Retry"] for code, row in rows.items()} == {
        code: "yes" if kind.retryable else "no" for code, kind in kinds.items()
    }


def test_statuses_of_all_codes() -> None:
    for heading in ("Errors", "On Triton besides", "At a service's doors besides", "At the gateway besides"):
        for code, row in table(section(read("docs/ERRORS.md"), heading), "Code").items():
            assert row["HTTP"] in (str(status_of(code)), "none"), code
            assert row["gRPC"] in (f"`{grpc_status_of(code).name}`", "none"), code
            assert "none" not in row["HTTP"] or code not in HTTP_STATUSES, code
            assert "none" not in row["gRPC"] or code not in GRPC_STATUSES, code


# ---- the gateway


def test_calls_of_the_gateway() -> None:
    config = GatewayConfig()
    view = View(None)
    with closing(view), Sender(config) as sender:
        gateway = Gateway(config, JsonCodec(), view, Follower(config, JsonCodec(), view), sender)
        described = make_app(gateway, config).openapi()["paths"]
    calls = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    documented = set(table(section(read(GATEWAY), "Calls"), "Call"))
    assert {re.sub(r"\{\w+\}", "{id}", call) for call in calls} == documented - {"GET /openapi.json", "GET /"}


def test_a_try_on_at_the_gateway() -> None:
    text = section(read(GATEWAY), "A try-on")
    check_fields(text, TryOnView)
    rows = table(text, "Field of a step")
    assert rows.keys() == StepView.model_json_schema(mode="serialization")["properties"].keys()
    assert set(get_args(StepView.model_fields["state"].annotation)) <= set(spans(rows["state"]["Meaning"]))


# ---- settings


def changeable(name: str) -> set[str]:
    """The defaults of requests that the environment can change."""
    return {field.upper() for field in CONFIGS[name].model_fields if field in request_fields(name)}


def request_fields(name: str) -> set[str]:
    return set(REQUESTS[name].model_fields)


@pytest.mark.parametrize(
    ("heading", "kind", "names"),
    [
        ("Settings", Settings, set(Settings.model_fields)),
        ("Kafka", KafkaSettings, set(KafkaSettings.model_fields) - set(Settings.model_fields)),
        ("Workers", WorkerSettings, set(WorkerSettings.model_fields) - set(KafkaSettings.model_fields)),
        ("The orchestrator", Config, set(vars(Config)["__annotations__"])),
        ("REST", RestSettings, set(RestSettings.model_fields) - set(Settings.model_fields)),
        ("gRPC", GrpcSettings, set(GrpcSettings.model_fields) - set(Settings.model_fields)),
        ("Triton", TritonSettings, set(TritonSettings.model_fields) - set(Settings.model_fields)),
        ("Files", FilesConfig, set(FilesConfig.model_fields) - set(GatewayConfig.model_fields)),
        ("The gateway", GatewayConfig, set(GatewayConfig.model_fields) - set(Config.model_fields)),
        ("The vtryon command", ServerSettings, set(ServerSettings.model_fields) - set(Settings.model_fields)),
    ],
)
def test_settings_table(heading: str, kind: type[Settings], names: set[str]) -> None:
    rows = table(section(read("docs/SETTINGS.md"), heading), "Variable")
    assert rows.keys() == {name.upper() for name in names}
    for name in names:
        row, field = rows[name.upper()], kind.model_fields[name]
        value = field.default
        shown = str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else value
        assert row["Default"] == ("unset" if value in (None, [], {}) else f"`{shown}`"), name
        if get_origin(field.annotation) is Literal:
            assert all(f"`{choice}`" in row["Meaning"] for choice in get_args(field.annotation)), name


@each_service
def test_environment(name: str) -> None:
    named = spans(section(read(f"{name}/API.md"), "Environment"))
    assert {span for span in named if span.isupper()} == changeable(name)


@each_service
def test_env_example(name: str) -> None:
    """It shows what it says: settings that exist, at their defaults."""
    file = ROOT / name / ".env.example"
    kinds: list[type[Settings]] = [GatewayConfig]
    if name != "orchestrator":
        kinds = [CONFIGS[name], WorkerSettings, RestSettings, GrpcSettings, FilesSettings, TritonSettings]
    variables = set(dotenv_values(file))
    assert variables <= {field.upper() for kind in kinds for field in kind.model_fields}
    assert changeable(name) <= variables
    for kind in kinds:
        assert kind(_env_file=file) == kind(_env_file=None)


# ---- Kafka


def test_topics_table() -> None:
    rows = table(section(read(KAFKA), "Topics"), "Topic")
    assert list(rows) == [topic.name for topic in TOPICS]
    for topic in TOPICS:
        row = rows[topic.name]
        days = int(topic.config["retention.ms"]) // DAY_MS
        kept = f"{days} day{'s' if days > 1 else ''}"
        compacted = ", compacted" if "compact" in topic.config.get("cleanup.policy", "") else ""
        assert row["Purpose"] == topic.purpose
        assert row["Joined"] == ("yes" if topic.joined else "no")
        assert row["Kept"] == kept + compacted
        if topic.name in generate_schemas.CONTRACTS:
            assert spans(row["Value"]) == [contract.__name__ for contract in generate_schemas.CONTRACTS[topic.name]]


def test_groups() -> None:
    text = section(read(KAFKA), "Topics")
    groups = {group_of(name) for name in STAGES} | {Config().kafka_consumer_group}
    assert groups == {span for span in spans(text) if span.endswith("-group")}


def test_headers_table() -> None:
    rows = table(section(read(KAFKA), "Headers"), "Header")
    of_topics = {topic.name: generate_schemas.headers_of(topic.name) for topic in TOPICS}
    assert rows.keys() == set(generate_schemas.OF_ALL).union(*of_topics.values())
    words: dict[str, Callable[[str], bool]] = {
        "all": lambda topic: True,
        "stages' requests": lambda topic: topic in map(request_topic, STAGES),
        "stages' responses": lambda topic: topic in map(response_topic, STAGES),
        "requests": lambda topic: topic.endswith("-requests"),
        "dead letters": lambda topic: topic.endswith("-dlq"),
        "`tryon-status`": lambda topic: topic == "tryon-status",
    }
    for name, row in rows.items():
        carry = {topic for topic, own in of_topics.items() if name in own or name in generate_schemas.OF_ALL}
        kept = (
            carry if row["On"] in ("all", "dead letters") else {topic for topic in carry if not topic.endswith("-dlq")}
        )
        assert kept == {topic for topic in of_topics if words[row["On"]](topic)}, name


@pytest.mark.parametrize(
    "topic",
    [
        topic
        for topic in generate_schemas.CONTRACTS
        if not topic.startswith(tuple(name.replace("_", "-") for name in STAGES))
    ],
)
def test_messages(topic: str) -> None:
    """Each kind of message has an example, just as it would be written; what comes from outside may leave out much."""
    contracts = list(generate_schemas.CONTRACTS[topic])
    examples = [json.loads(block) for block in blocks(section(read(KAFKA), topic), "json")]
    assert len(examples) == len(contracts)
    for example, contract in zip(examples, contracts, strict=True):
        from_outside = topic in generate_schemas.FROM_OUTSIDE
        written = contract.model_validate(example).model_dump_json(exclude_unset=from_outside)
        assert json.loads(written) == example


class Client:
    """Stands in for a producer and for a consumer."""

    sent: list[tuple[str, bytes]]
    answer: bytes

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self.properties = properties

    def produce(self, topic: str, value: bytes) -> None:
        self.sent.append((topic, value))

    def flush(self) -> None: ...

    def subscribe(self, topics: list[str]) -> None:
        assert topics == [TRYON_RESPONSES]
        assert self.properties["isolation.level"] == "read_committed"

    def poll(self, timeout: float) -> "Client":
        return self

    def error(self) -> None: ...

    def value(self) -> bytes:
        return self.answer

    def close(self) -> None: ...


def test_from_another_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The two programs do what they are there for."""
    asks, reads = blocks(section(read(KAFKA), "From another program"), "python")
    answer, *_ = blocks(section(read(KAFKA), TRYON_RESPONSES), "json")
    monkeypatch.setattr(Client, "sent", [], raising=False)
    monkeypatch.setattr(Client, "answer", answer.encode(), raising=False)
    monkeypatch.setattr(confluent_kafka, "Producer", Client)
    monkeypatch.setattr(confluent_kafka, "Consumer", Client)
    exec(asks, {})  # noqa: S102
    ((topic, value),) = Client.sent
    assert topic == TRYON_REQUESTS
    assert json.loads(value).keys() <= TryOnRequest.model_fields.keys()
    TryOnRequest.model_validate_json(value)
    exec(reads, {})  # noqa: S102
    assert capsys.readouterr().out.strip() == json.loads(answer)["image_path"]


def test_settings_of_security() -> None:
    (block,) = blocks(section(read(KAFKA), "Security"), "sh")
    given = dict(line.removeprefix("export ").split("=", 1) for line in block.splitlines())
    settings = TypeAdapter(KafkaSettings).validate_python({name.lower(): value for name, value in given.items()})
    assert {name.lower() for name in given} <= settings.model_fields_set


def test_codes_of_avro() -> None:
    rows = table(section(read(KAFKA), "Avro"), "Code")
    assert rows.keys() == {kind.code for kind in kafka_errors() if kind.__module__.endswith(".avro")}


# ---- commands


def vtryon_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    groups = parser.add_subparsers(required=True)
    for each in (submit, tryons, doctor, topics, dlq, models_command, kafka, triton):
        each.add_commands(groups)
    return parser


READERS: dict[str, Callable[[str, list[str]], object]] = {
    "kafka": worker_settings,
    "rest": rest_settings,
    "grpc": grpc_settings,
    "files": files_settings,
}
"""What reads the command line of a service in each mode that serves."""


def check_script(script: Path, words: list[str]) -> None:
    mode = dict(pairwise(words)).get("--mode", "")
    if script.parts[0] == "orchestrator":
        (files_config if mode == "files" else _parser_of_the_orchestrator().parse_args)(words)
    elif script.name == "main.py" and mode in READERS:
        READERS[mode](script.parent.name, words)
    elif script.name == "main.py":
        kind = STAGES[script.parent.name]
        stage = kind(kind.options_type(), Models(Settings()))
        fields = vars(_parser(stage).parse_args(words))
        del fields["mode"]
        parse(stage.request_type, stage.options, fields)
    else:
        check_flags(read(str(script)), words)


def check_flags(source: str, words: list[str]) -> None:
    assert all(re.search(rf"\b{word[2:]}\b", source) for word in words if word.startswith("--")), words


def check_module(module: str, words: list[str]) -> None:
    found = importlib.util.find_spec(module)
    assert found is not None, module
    assert found.origin is not None, module
    folder = Path(found.origin).parent
    main = folder / "main.py" if found.submodule_search_locations else Path(found.origin)
    check_flags(main.read_text(encoding="utf-8"), words)
    if "--stages" in words:
        assert set(words[words.index("--stages") + 1].split(",")) <= STAGES.keys()


def run_in_the_foreground(words: list[str]) -> list[str]:
    """The command without what the shell is to do with it: `> file 2>&1 &`."""
    if words[-1] != "&":
        return words
    assert words[-4::2] == [">", "2>&1"], words
    return words[:-4]


RUN_AS_PRINTED = "docs/API_MULTI_PROTOCOL.md"
"""tests/kafka/test_doors_document.py does that."""


@pytest.mark.parametrize("document", sorted(set(DOCUMENTS) - {RUN_AS_PRINTED}))
def test_commands(document: str) -> None:
    kinds = (*CONFIGS.values(), WorkerSettings, TritonSettings)
    settings = {field.upper() for kind in kinds for field in kind.model_fields}
    settings |= set(re.findall(r"^([A-Z_]+)=", read(".env.example"), re.MULTILINE))
    for words in map(run_in_the_foreground, commands(read(document))):
        match words:
            case ["make", target]:
                assert target in targets()
            case ["python", "-m", module, *arguments]:
                check_module(module, arguments)
            case ["python", script, *arguments]:
                check_script(Path(script), arguments)
            case ["vtryon", *arguments]:
                vtryon_parser().parse_args(arguments)
            case ["export", *given]:
                assert {setting.partition("=")[0] for setting in given} <= settings
            case ["curl", *arguments]:
                check_curl(arguments)
            case ["cp", source, _]:
                assert (ROOT / source).exists()
            case ["mkdir" | "mv" | "echo" | "docker" | "kubectl", *_]:
                pass
            case ["pip", "install", "vtryon[avro]"] | [".", ".venv/bin/activate"]:
                pass
            case ["wait"] | ["kill" | "wait", "%1"] | ["kill", "%1", "%2"]:
                pass
            case _:
                pytest.fail(f"teach this test the command {words}")


@each_document
def test_commands_within_the_text(document: str) -> None:
    """As far as they are whole: `vtryon dlq list sampling`, `python sampling/main.py --mode kafka`."""
    commands_of_vtryon = list(known_commands(vtryon_parser()))
    known, whole = [words for words, _ in commands_of_vtryon], [words for words, whole in commands_of_vtryon if whole]
    for words in map(str.split, spans(read(document))):
        if words[:2] == ["python", "-m"]:
            check_module(words[2], [word for word in words[3:] if word != "--help"])
        elif words[0] == "python" and "--help" not in words and "standalone" not in words:
            check_script(Path(words[1]), words[2:])
        elif words[0] == "vtryon" and len(words) > 1:
            assert words[1:] in known or any(words[1 : len(each) + 1] == each for each in whole), words


def known_commands(parser: argparse.ArgumentParser) -> Iterator[tuple[list[str], bool]]:
    """The words of each, and whether it can be given like that: a group of commands can't."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                deeper = [([name, *words], whole) for words, whole in known_commands(inner)]
                yield [name], not deeper
                yield from deeper


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))


def command_line_flags() -> set[str]:
    """All that any command takes."""
    folders = (
        "orchestrator/cli",
        "orchestrator",
        "shared_utils",
        "shared_utils/transports/files",
        "shared_utils/transports/grpc",
        "shared_utils/transports/kafka",
        "shared_utils/transports/rest",
        "benchmarks",
        "scripts",
    )
    sources = [file.read_text(encoding="utf-8") for folder in folders for file in (ROOT / folder).glob("*.py")]
    found = {flag for source in sources for flag in re.findall(r'add_argument\(\s*"--([a-z-]+)"', source)}
    return {flag.replace("-", "_") for flag in found}


OF_DOCKER = {"profile", "volumes"}
"""Flags of commands that are not ours."""


@each_document
def test_make_targets_and_flags(document: str) -> None:
    named = spans(read(document))
    assert {span.split()[1] for span in named if span.startswith("make ")} <= targets()
    flags = {"mode", "help"}.union(OF_DOCKER, command_line_flags(), *(request_fields(name) for name in STAGES))
    used = {span.split()[0][2:].replace("-", "_") for span in named if re.match(r"--[a-z]", span)}
    assert used <= flags


def test_every_target_is_in_contributing() -> None:
    assert targets() - {"help"} == {name.removeprefix("make ") for name in table(read("CONTRIBUTING.md"), "Command")}


def test_floors() -> None:
    named = set(spans(section(read("CONTRIBUTING.md"), "The floors")))
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    told = ("shared_utils", "shared_utils.transports.kafka", "orchestrator")
    layers = [layer for each in contracts if each.get("containers", [""])[0] in told for layer in each["layers"]]
    assert {part for layer in layers for part in layer.split(" | ")} - {"__main__"} <= named


@each_stage
def test_python_examples(name: str) -> None:
    """They import what exists and pass what it takes."""
    for block in blocks(read(f"{name}/API.md"), "python"):
        tree = ast.parse(block)
        known = {
            alias.name: getattr(importlib.import_module(str(node.module)), alias.name)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in known:
                keywords = {str(keyword.arg): None for keyword in call.keywords}
                inspect.signature(known[call.func.id]).bind(*call.args, **keywords)


def test_sample_latent_table() -> None:
    rows = table(section(read("sampling/API.md"), "With the tensors in hand"), "Parameter")
    named = {parameter for row in rows.values() for parameter in spans(row["Parameter"])}
    assert named <= inspect.signature(sample_latent).parameters.keys()


# ---- files


@each_document
def test_links(document: str) -> None:
    markdown = read(document)
    for target in re.findall(r"\]\(([^)]+)\)|src=\"([^\"]+)\"", markdown):
        path, _, anchor = "".join(target).partition("#")
        if path.startswith("https:"):
            continue
        linked = (ROOT / document).parent / path if path else ROOT / document
        assert linked.exists(), path
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


@each_document
def test_paths(document: str) -> None:
    markdown = read(document)
    tops, names = {part.name for part in PARTS}, {path.name for path in PATHS}
    for text in spans(markdown) + blocks(markdown):
        for word in re.findall(r"(?<![\w./<>-])[\w.-]+(?:/[\w.-]+)*", text):
            if "/" in word and word.split("/")[0] in tops:
                assert Path(word) in PATHS, word
            elif "/" not in word and word.endswith((".py", ".md", ".sh", ".toml", ".txt", ".example")):
                assert word in names, word


def test_models_table() -> None:
    rows = table(section(read("README.md"), "The real models"), "File")
    files = {(name, kind.folder) for kind, name in model_files.WORKFLOW}
    assert {(name, row["Folder"].strip("`")) for name, row in rows.items()} == files


def test_comfyui_version() -> None:
    text = section(read("README.md"), "ComfyUI")
    assert f"ComfyUI {provision.VERSION} " in text
    assert provision.ARCHIVE_REQUIREMENT.replace("==", " ") in text
