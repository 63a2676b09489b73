"""The documents say what the code says: fields, defaults, limits, codes, settings, commands, links."""

import argparse
import ast
import importlib
import importlib.util
import inspect
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from dotenv import dotenv_values

from decoding.service import Decoding
from latent_encoder.service import LatentEncoder
from orchestrator.cli import models as models_command
from sampling.service import Sampling, sample_latent
from shared_utils import errors
from shared_utils.comfy import provision
from shared_utils.comfy.loader import Models
from shared_utils.contracts import Failure, Response
from shared_utils.settings import Settings
from shared_utils.stage import parse
from shared_utils.transports.cli.standalone import _parser
from text_encoder.service import TextEncoder

ROOT = Path(__file__).resolve().parent.parent
STAGES: dict[str, Any] = {stage.name: stage for stage in (LatentEncoder, TextEncoder, Sampling, Decoding)}
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
each_document = pytest.mark.parametrize("document", DOCUMENTS)


# ---- reading Markdown


def read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(markdown: str, language: str = r"\w*") -> list[str]:
    """What stands in fences of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL)


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
    return get_type_hints(STAGES[name].run)["return"]


@each_stage
def test_request_table(name: str) -> None:
    schema = STAGES[name].request_type.model_json_schema()
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
        properties = model.model_json_schema(mode="serialization")["properties"]
        rows = table(section(document, heading), "Field")
        assert rows.keys() == (properties.keys() if fields is None else fields)
        for field, row in rows.items():
            assert documented_kinds(row["Type"]) == kinds(properties[field]), field


@each_stage
def test_examples(name: str) -> None:
    document = read(f"{name}/API.md")
    request, response, failure = (json.loads(block) for block in blocks(document, "json"))
    stage, answer = STAGES[name], response_type(name)
    assert request.keys() <= stage.request_type.model_fields.keys()
    stage.request_type.model_validate(request)
    assert response.keys() == answer.model_fields.keys()
    assert response["metadata"].keys() == answer.model_fields["metadata"].annotation.model_fields.keys()
    answer.model_validate(response)
    check_failure(failure, document)


def test_example_in_the_readme() -> None:
    (failure,) = (json.loads(block) for block in blocks(read("README.md"), "json"))
    check_failure(failure, read("README.md"))


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
    documented = {code: row["Retry"] for code, row in table(section(read("README.md"), "Errors"), "Code").items()}
    of_stages = {code: retry for name in STAGES for code, retry in codes_of(name).items()}
    everything = {kind.code for kind in vars(errors).values() if inspect.isclass(kind) and hasattr(kind, "code")}
    assert documented == of_stages
    assert everything <= documented.keys()


# ---- settings


def changeable(name: str) -> set[str]:
    """The defaults of requests that the environment can change."""
    return {field.upper() for field in STAGES[name].options_type.model_fields if field in request_fields(name)}


def request_fields(name: str) -> set[str]:
    return set(STAGES[name].request_type.model_fields)


def test_settings_table() -> None:
    rows = table(section(read("README.md"), "Settings"), "Variable")
    assert rows.keys() == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        row, value = rows[name.upper()], field.default
        shown = str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else value
        assert row["Default"] == ("unset" if value in (None, []) else f"`{shown}`"), name
        if get_origin(field.annotation) is Literal:
            assert all(f"`{choice}`" in row["Meaning"] for choice in get_args(field.annotation)), name


@each_stage
def test_environment(name: str) -> None:
    named = spans(section(read(f"{name}/API.md"), "Environment"))
    assert {span for span in named if span.isupper()} == changeable(name)


@each_stage
def test_env_example(name: str) -> None:
    """It shows what it says: settings that exist, at their defaults."""
    file, config = ROOT / name / ".env.example", STAGES[name].options_type
    variables = set(dotenv_values(file))
    assert variables <= {field.upper() for field in config.model_fields}
    assert changeable(name) <= variables
    assert config(_env_file=file) == config(_env_file=None)


# ---- commands


def vtryon_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    models_command.add_commands(parser.add_subparsers(required=True))
    return parser


def check_script(script: Path, words: list[str]) -> None:
    if script.name == "main.py":
        kind = STAGES[script.parent.name]
        stage = kind(kind.options_type(), Models(Settings()))
        fields = vars(_parser(stage).parse_args(words))
        del fields["mode"]
        parse(stage.request_type, stage.options, fields)
    else:
        source = read(str(script))
        assert all(re.search(rf"\b{word[2:]}\b", source) for word in words if word.startswith("--")), words


@each_document
def test_commands(document: str) -> None:
    settings = {field.upper() for kind in STAGES.values() for field in kind.options_type.model_fields}
    for words in commands(read(document)):
        match words:
            case ["make", target]:
                assert target in targets()
            case ["python", "-m", module]:
                assert importlib.util.find_spec(module)
            case ["python", script, *arguments]:
                check_script(Path(script), arguments)
            case ["vtryon", *arguments]:
                vtryon_parser().parse_args(arguments)
            case ["export", setting]:
                assert setting.partition("=")[0] in settings
            case _:
                assert words == [".", ".venv/bin/activate"], f"teach this test the command {words}"


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))


@each_document
def test_make_targets_and_flags(document: str) -> None:
    named = spans(read(document))
    assert {span.removeprefix("make ") for span in named if span.startswith("make ")} <= targets()
    flags = {"mode", "help"}.union(*(request_fields(name) for name in STAGES))
    used = {span.split()[0][2:].replace("-", "_") for span in named if re.match(r"--[a-z]", span)}
    assert used <= flags


def test_every_target_is_in_contributing() -> None:
    assert targets() - {"help"} == {name.removeprefix("make ") for name in table(read("CONTRIBUTING.md"), "Command")}


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
    files = {(name, kind.folder) for kind, name in models_command.WORKFLOW}
    assert {(name, row["Folder"].strip("`")) for name, row in rows.items()} == files


def test_comfyui_version() -> None:
    text = section(read("README.md"), "ComfyUI")
    assert f"ComfyUI {provision.VERSION} " in text
    assert provision.ARCHIVE_REQUIREMENT.replace("==", " ") in text
