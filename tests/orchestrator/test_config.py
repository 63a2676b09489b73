"""What the environment can set for the orchestrator."""

import pytest

from orchestrator.config import Config
from orchestrator.steps import STEPS


def test_steps_have_half_an_hour_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEP_SECONDS", '{"sampling": 60}')
    policy = Config().policy
    assert policy.seconds == {"latent_encoder": 1800, "text_encoder": 1800, "sampling": 60, "decoding": 1800}
    assert policy.attempts == 2
    assert set(policy.seconds) == set(STEPS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STEP_SECONDS", '{"sampling": 0}'),
        ("STEP_SECONDS", '{"smapling": 5}'),
        ("STEP_SECONDS", "5"),
        ("STEP_ATTEMPTS", "0"),
        ("MAX_IN_FLIGHT", "0"),
        ("SWEEP_HOURS", "-1"),
        ("STEP_SECONDS", "{"),
        ("KAFKA_PROPERTIES", "[]"),
        ("KAFKA_PROPERTIES", '{"a"'),
        ("KAFKA_GROUP_PROTOCOL", "modern"),
    ],
)
def test_a_wrong_value_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        Config.read()
    assert name in capsys.readouterr().err
