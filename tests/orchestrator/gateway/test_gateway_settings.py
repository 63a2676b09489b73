"""What the environment says about the gateway, and what it may not say."""

import base64

import pytest

from orchestrator.gateway.settings import GatewayConfig

KEYS = '{"ann": "a-key", "bob": "b-key"}'


def test_keys() -> None:
    config = GatewayConfig(gateway_api_keys=KEYS)
    assert config.api_keys == {"ann": "a-key", "bob": "b-key"}
    assert "a-key" not in repr(config)
    assert GatewayConfig().api_keys == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("GATEWAY_API_KEYS", keys)
            for keys in (
                "key",
                "[]",
                "{}",
                '{"ann": ""}',
                '{"": "key"}',
                '{"ann": 3}',
                '{"ann": "größer-key"}',
                "[" * 5000,
            )
        ),
        ("WEBHOOK_SECRET", "key"),
        ("WEBHOOK_SECRET", "whsec_" + base64.b64encode(b"short-key").decode()),
    ],
)
def test_bad_secrets_are_named_and_not_shown(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        GatewayConfig.read()
    shown = capsys.readouterr().err
    assert ended.value.code == 2
    assert shown.startswith(name)
    assert "key" not in shown.replace('"key"', "").replace("keys", "").replace("=", "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_PORT", "65536"),
        ("GATEWAY_MAX_UPLOAD_MB", "0"),
        ("GATEWAY_MAX_GARMENTS", "10001"),
        ("GATEWAY_CORS_ORIGINS", "https://friend.example"),
        ("GATEWAY_RATE_PER_MINUTE", "-1"),
    ],
)
def test_bad_values_are_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        GatewayConfig.read()
    assert name in capsys.readouterr().err


def test_it_is_this_machines_own_unless_told() -> None:
    assert GatewayConfig().gateway_host == "127.0.0.1"
