"""scripts/list_requirements.py: what images install before the code."""

import subprocess
import sys

from tests.conftest import ROOT


def run(*extras: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "list_requirements.py", *extras],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_slim_image_has_no_pytorch() -> None:
    listed = run("avro").stdout.splitlines()
    assert any(line.startswith("fastapi") for line in listed)
    assert "confluent-kafka[avro,schemaregistry]>=2.16,<3" in listed
    assert not any(line.startswith("torch") for line in listed)


def test_the_stages_need_more() -> None:
    assert any(line.startswith("torch>=") for line in run("stages", "avro").stdout.splitlines())


def test_an_extra_that_there_is_not() -> None:
    ended = run("nonsense")
    assert ended.returncode == 1
    assert "no nonsense: there are stages" in ended.stderr
