"""The folder schemas/ is what the contracts say, and what differs is named."""

import json
from pathlib import Path
from typing import Any

import generate_schemas
import pytest

from shared_utils.schemas.files import FOLDER, topic_schema
from shared_utils.transports.kafka import dead_letters, topics


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the folder, with a released version in it."""
    generate_schemas.write(tmp_path)
    assert run("--release", "1.0.0", "--folder", str(tmp_path)) == 0
    return tmp_path


def run(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.argv", ["generate_schemas.py", *arguments])
        return generate_schemas.main()


def test_the_folder_is_what_the_contracts_say() -> None:
    assert generate_schemas.drift(FOLDER) == []
    assert generate_schemas.breaks(FOLDER) == []


def test_every_topic_has_a_schema() -> None:
    names = {topic.name.removesuffix("-dlq") for topic in topics.TOPICS}
    assert names == set(generate_schemas.CONTRACTS)
    assert all(topic_schema(name) == generate_schemas.avro_of(name) for name in names)
    assert topic_schema("somebody-elses") is None


def test_every_header_of_a_dead_letter_is_told() -> None:
    told = generate_schemas.headers_of(topics.dead_letter_topic("sampling-requests"))
    assert told.keys() >= dead_letters.OURS


def test_a_fresh_folder_is_right(folder: Path) -> None:
    assert run("--check", "--folder", str(folder)) == 0


@pytest.mark.parametrize("name", ["avro/tryon-status-value.avsc", "json/TryOn.json", "asyncapi.yaml"])
def test_drift_is_named(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / name).write_text("{}")
    assert run("--check", "--folder", str(folder)) == 1
    assert f"{folder.name}/{name}" in capsys.readouterr().err
    (folder / name).unlink()
    assert run("--check", "--folder", str(folder)) == 1
    assert f"{folder.name}/{name}" in capsys.readouterr().err


def test_a_stray_file_is_named_and_removed(folder: Path) -> None:
    stray = folder / "json" / "Gone.json"
    stray.write_text("{}")
    assert generate_schemas.drift(folder) == [
        f"{folder.name}/json/Gone.json is not what the contracts say: run `make schemas`."
    ]
    generate_schemas.write(folder)
    assert not stray.exists()


def released(folder: Path, topic: str, *fields: dict[str, Any]) -> None:
    """Have a released version with these fields besides."""
    file = folder / "released" / "1.0.0" / f"{topic}-value.avsc"
    schema = json.loads(file.read_text()) if file.exists() else generate_schemas.avro_of("tryon-cancels")
    schema["fields"] += fields
    file.write_text(json.dumps(schema))


def test_a_break_with_a_release_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    released(folder, "tryon-cancels", {"name": "why", "type": "string"})
    assert run("--check", "--folder", str(folder)) == 1
    assert "Against 1.0.0: vtryon.Cancel.why is gone" in capsys.readouterr().err
    assert run("--release", "1.1.0", "--folder", str(folder)) == 1
    assert not (folder / "released" / "1.1.0").exists()


def test_a_topic_that_is_gone_is_named(folder: Path) -> None:
    released(folder, "old-topic")
    assert generate_schemas.breaks(folder) == ["1.0.0 had the topic old-topic, which has no contract any more."]


def test_an_optional_field_may_go(folder: Path) -> None:
    released(folder, "tryon-cancels", {"name": "why", "type": ["null", "string"], "default": None})
    assert generate_schemas.breaks(folder) == []
