"""`vtryon doctor`, with things broken on purpose."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli import doctor
from orchestrator.cli.checks import kafka, machine
from orchestrator.cli.checks.finding import Finding
from orchestrator.cli.main import main
from orchestrator.config import Config


def states(findings: Iterator[Finding]) -> dict[str, str]:
    return {finding.title: finding.state for finding in findings}


def test_a_line_each_and_its_verdict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def good(config: Config) -> Iterator[Finding]:
        yield Finding("ok", "this", "is good")
        yield Finding("warn", "that", "may be")

    def broken(config: Config) -> Iterator[Finding]:
        raise RuntimeError("a defect\nof the check")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (good,))
    assert main(["doctor"]) == 0
    monkeypatch.setattr(doctor, "CHECKS", (broken, good))
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "FAIL  broken           could not be looked at: RuntimeError: a defect\n" in shown
    assert shown.endswith("ok    this             is good\nwarn  that             may be\n\nwrong: 1, warnings: 1\n")


def test_kafka_as_it_must_be(config: Config) -> None:
    found = states(kafka.cluster(config))
    assert (found["kafka"], found["topics"], found["values"]) == ("ok", "ok", "ok")
    assert found["orchestrator"] == "warn"  # nobody is there, or this broker can't tell


def test_no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "SECONDS", 0.1)
    unreachable, topics = kafka.cluster(Config(kafka_bootstrap_servers="127.0.0.1:1"))
    assert unreachable.state == "FAIL"
    assert "127.0.0.1:1 can't be reached" in unreachable.text
    assert topics.state == "warn"


def test_settings_that_no_client_can_be_made_of() -> None:
    (found,) = kafka.cluster(Config(kafka_properties={"no.such.property": 1}))
    assert found.state == "FAIL"
    assert "no.such.property" in found.text


@pytest.mark.parametrize(
    ("settings", "state", "said"),
    [
        ({}, "ok", "plaintext, on this machine"),
        ({"kafka_bootstrap_servers": "[::1]:9092,127.0.0.1:1"}, "ok", "plaintext"),
        ({"kafka_bootstrap_servers": "localhost:9092,kafka:9092"}, "warn", "KAFKA_SECURITY_PROTOCOL"),
        ({"kafka_security_protocol": "ssl", "kafka_ssl_ca_location": "/no/ca.pem"}, "FAIL", "/no/ca.pem does not"),
        (
            {"kafka_security_protocol": "sasl_ssl", "kafka_sasl_password": "hidden", "kafka_sasl_mechanism": "PLAIN"},
            "FAIL",
            "needs KAFKA_SASL_USERNAME.",
        ),
    ],
)
def test_security(settings: dict[str, str], state: str, said: str) -> None:
    (found,) = kafka.security(Config.model_validate(settings))
    assert found.state == state
    assert said in found.text
    assert "hidden" not in found.text


def test_no_registry(config: Config) -> None:
    avro = config.model_copy(update={"kafka_value_format": "avro", "schema_registry_url": "http://127.0.0.1:1"})
    assert states(kafka.cluster(avro))["values"] == "FAIL"


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    config = Config(intermediate_dir=tmp_path / "new" / "folder", output_dir=str(tmp_path / "file"))
    intermediate, output = machine.folders(config)
    assert intermediate.state == "ok"
    assert "made when first used" in intermediate.text
    assert output.state == "FAIL"
    assert "OUTPUT_DIR" in output.text
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [("nfs4", "a shared file system"), ("ext4", "only services on this machine"), ("unknown", "can't")],
)
def test_who_sees_a_folder(kind: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_file_system", lambda folder: kind)
    assert all(said in found.text for found in machine.folders(Config(output_dir=str(tmp_path))))


def test_a_tree_that_is_none(tmp_path: Path) -> None:
    config = Config(comfyui_path=tmp_path)
    assert states(machine.comfyui(config)) == {"comfyui": "FAIL"}
    assert states(machine.models(config)) == {"models": "warn"}


def test_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTRYON_CACHE", str(tmp_path))
    assert states(machine.comfyui(Config())) == {"comfyui": "warn"}
    assert states(machine.models(Config())) == {"models": "warn"}
    assert list(tmp_path.iterdir()) == []


def test_a_comfyui_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "comfy").mkdir()
    (tmp_path / "comfy" / "sd.py").write_text("")
    (tmp_path / "nodes.py").write_text("raise ImportError('something is missing')")
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    (found,) = machine.comfyui(Config())
    assert found.state == "FAIL"
    assert f"ComfyUI at {tmp_path} did not start" in found.text


def test_models(model_dir: Path, tmp_path: Path) -> None:
    assert [found.state for found in machine.models(Config(model_dir=model_dir))] == ["ok"] * 4
    missing = list(machine.models(Config(model_dir=tmp_path)))
    assert [found.state for found in missing] == ["warn"] * 4
    assert all("MODEL_DIR" in found.text for found in missing)
