"""The folder schemas/ is what the contracts say, and what differs is named."""

import json
from pathlib import Path
from typing import Any

import generate_schemas
import pytest

from shared_utils.schemas.files import topic_schema
from shared_utils.transports.kafka import dead_letters, topics
from tests.conftest import ROOT, STAGES


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with the schemas, a released version among them."""
    generate_schemas.write(tmp_path)
    assert run("--release", "1.0.0", "--root", str(tmp_path)) == 0
    return tmp_path


def run(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.argv", ["generate_schemas.py", *arguments])
        return generate_schemas.main()


def test_the_folder_is_what_the_contracts_say() -> None:
    assert generate_schemas.drift(ROOT) == []
    assert generate_schemas.breaks(ROOT) == []


def test_every_topic_has_a_schema() -> None:
    names = {topic.name.removesuffix("-dlq") for topic in topics.TOPICS}
    assert names == set(generate_schemas.CONTRACTS)
    assert all(topic_schema(name) == generate_schemas.avro_of(name) for name in names)
    assert topic_schema("somebody-elses") is None


def test_every_header_of_a_dead_letter_is_told() -> None:
    told = generate_schemas.headers_of(topics.dead_letter_topic("sampling-requests"))
    assert told.keys() >= dead_letters.OURS


def test_a_fresh_folder_is_right(root: Path) -> None:
    assert run("--check", "--root", str(root)) == 0


@pytest.mark.parametrize(
    "name",
    [
        "schemas/avro/tryon-status-value.avsc",
        "schemas/json/TryOn.json",
        "schemas/asyncapi.yaml",
        "shared_utils/transports/grpc/generated/vtryon_pb2.py",
        "shared_utils/transports/grpc/generated/vtryon_pb2.pyi",
        "shared_utils/transports/triton/generated/kserve_pb2.py",
        "triton_models/vtryon_pipeline/config.pbtxt",
        "triton_models/vtryon_stages/1/model.py",
        "triton_models/sampling/1/.gitkeep",
    ],
)
def test_drift_is_named(name: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / name).write_text("{}")
    assert run("--check", "--root", str(root)) == 1
    assert name in capsys.readouterr().err
    (root / name).unlink()
    assert run("--check", "--root", str(root)) == 1
    assert name in capsys.readouterr().err


@pytest.mark.parametrize("name", ["schemas/json/Gone.json", "triton_models/gone/config.pbtxt"])
def test_a_stray_file_is_named_and_removed(name: str, root: Path) -> None:
    stray = root / name
    stray.parent.mkdir(exist_ok=True)
    stray.write_text("{}")
    assert generate_schemas.drift(root) == [f"{name} is not what the contracts say: run `make schemas`."]
    generate_schemas.write(root)
    assert not stray.exists()


def released(root: Path, topic: str, *fields: dict[str, Any]) -> None:
    """Have a released version with these fields besides."""
    file = root / "schemas" / "released" / "1.0.0" / f"{topic}-value.avsc"
    schema = json.loads(file.read_text()) if file.exists() else generate_schemas.avro_of("tryon-cancels")
    schema["fields"] += fields
    file.write_text(json.dumps(schema))


def test_a_break_with_a_release_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    released(root, "tryon-cancels", {"name": "why", "type": "string"})
    assert run("--check", "--root", str(root)) == 1
    assert "Against 1.0.0: vtryon.Cancel.why is gone" in capsys.readouterr().err
    assert run("--release", "1.1.0", "--root", str(root)) == 1
    assert not (root / "schemas" / "released" / "1.1.0").exists()


def test_a_topic_that_is_gone_is_named(root: Path) -> None:
    released(root, "old-topic")
    assert generate_schemas.breaks(root) == ["1.0.0 had the topic old-topic, which has no contract any more."]


def test_an_optional_field_may_go(root: Path) -> None:
    released(root, "tryon-cancels", {"name": "why", "type": ["null", "string"], "default": None})
    assert generate_schemas.breaks(root) == []


# ---- vtryon.proto

PROTO = Path("schemas/vtryon.proto")


def replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_every_stage_has_its_method() -> None:
    made = {
        f"{service.name}.{method.name}": (method.request, method.response)
        for service in generate_schemas.SERVICES
        for method in service.methods
    }
    for stage in STAGES:
        name = f"{stage.name.title().replace('_', '')}.{stage.verb.title()}"
        assert made[name] == (stage.request_type, stage.response_type)


def test_a_field_keeps_the_number_that_the_file_gives_it(root: Path) -> None:
    """Or a file that is regenerated would speak of another field."""
    replaced(root / PROTO, "optional string latent_path = 7;", "optional string latent_path = 70;")
    (root / "schemas" / "released" / "1.0.0" / "vtryon.proto").unlink()
    assert generate_schemas.drift(root) == [
        "shared_utils/transports/grpc/generated/vtryon_pb2.py is not what the contracts say: run `make schemas`."
    ]
    generate_schemas.write(root)
    assert "optional string latent_path = 70;" in (root / PROTO).read_text()


def test_a_released_number_goes_before_the_file(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replaced(root / PROTO, "optional string latent_path = 7;", "optional string latent_path = 70;")
    assert run("--check", "--root", str(root)) == 1
    assert "schemas/vtryon.proto is not what the contracts say" in capsys.readouterr().err
    generate_schemas.write(root)
    assert "optional string latent_path = 7;" in (root / PROTO).read_text()


def test_the_number_of_a_field_that_is_gone_stays_reserved(root: Path) -> None:
    file = root / "schemas" / "released" / "1.0.0" / "vtryon.proto"
    replaced(file, "message CancelRequest {", "message CancelRequest {\n  optional string why = 9;")
    assert generate_schemas.breaks(root) == []
    for _ in range(2):
        generate_schemas.write(root)
        assert 'reserved 9;\n  reserved "why";' in (root / PROTO).read_text()


def test_a_method_that_is_gone_is_named(root: Path) -> None:
    file = root / "schemas" / "released" / "1.0.0" / "vtryon.proto"
    replaced(file, "service Decoding {", "service Decoding {\n  rpc Undo(DecodingRequest) returns (DecodingResponse);")
    assert generate_schemas.breaks(root) == ["Against 1.0.0: The method Decoding.Undo is gone: keep it."]


def test_a_file_that_can_not_be_read_is_not_written_over(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The numbers that it gave away would be lost."""
    (root / PROTO).write_text("message {")
    for arguments in ([], ["--check"]):
        assert run(*arguments, "--root", str(root)) == 1
        assert "vtryon.proto can't be read" in capfd.readouterr().err
    assert (root / PROTO).read_text() == "message {"
