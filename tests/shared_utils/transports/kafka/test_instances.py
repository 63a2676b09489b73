"""Who a process is among its like."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared_utils.transports.kafka.client import Instance
from shared_utils.transports.kafka.settings import KafkaSettings

HOLDS = (
    "import sys; from shared_utils.transports.kafka.client import Instance;"
    "from shared_utils.transports.kafka.settings import KafkaSettings;"
    "held = Instance(KafkaSettings(), 'group'); print(held.name, flush=True); sys.stdin.read()"
)


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Instance]]:
    """Makes instances whose locks are in a cache of the test's own."""
    monkeypatch.setenv("VTRYON_CACHE", str(tmp_path / "cache"))
    made: list[Instance] = []

    def make(group: str, **settings: str) -> Instance:
        made.append(Instance(KafkaSettings.model_validate(settings), group))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_each_has_a_number_and_it_is_taken_up_again(named: Callable[..., Instance]) -> None:
    first, second = named("group"), named("group")
    assert first.name.endswith("-0")
    assert second.name.endswith("-1")
    assert named("other").name.endswith("-0")
    first.close()
    assert named("group").name == first.name


def test_a_killed_process_lets_go_of_its_number(named: Callable[..., Instance]) -> None:
    command = [sys.executable, "-c", HOLDS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert name.endswith("-0")
        assert named("group").name.endswith("-1")
        process.kill()
    assert named("group").name == name


def test_a_given_name_is_taken_as_it_is(named: Callable[..., Instance]) -> None:
    first, second = (named("group", kafka_instance_id="gpu-7") for _ in range(2))
    assert first.name == second.name == "group-gpu-7"
    first.close()


@pytest.mark.parametrize("group", ["a/b", "../up", "ä b"])
def test_any_group_can_be_named(named: Callable[..., Instance], group: str, tmp_path: Path) -> None:
    assert named(group).name.startswith(group)
    assert [file.parent for file in tmp_path.rglob("*.lock")] == [tmp_path / "cache" / "instances"]
