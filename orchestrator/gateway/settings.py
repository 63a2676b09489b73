"""What the environment can set for a gateway, besides what an orchestrator reads."""

import json
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from orchestrator.config import Config
from orchestrator.gateway.signature import key_of


class GatewayConfig(Config):
    gateway_host: str = Field("127.0.0.1", description="Address to listen on. 0.0.0.0: all of this machine's.")
    gateway_port: int = Field(8080, ge=0, le=65535, description="Port for HTTP; 0: any that is free.")
    gateway_grpc_port: int = Field(50050, ge=0, le=65535, description="Port for gRPC; 0: any that is free.")
    gateway_upload_dir: Path = Field(
        Path("output/uploads"), description="Folder on the shared storage for pictures that were uploaded."
    )
    gateway_upload_hours: float = Field(168.0, gt=0, description="Uploads are removed when they are that old.")
    gateway_max_upload_mb: float = Field(32.0, gt=0, description="All that one call uploads may have this much.")
    gateway_upload_seconds: float = Field(60.0, gt=0, description="A call's body must have arrived by then.")
    gateway_max_garments: int = Field(100, ge=1, le=10_000, description="Garments in one call.")
    gateway_max_waiting: int = Field(
        1000, ge=1, description="While so many try-ons wait for an orchestrator, no further one is taken."
    )
    gateway_api_keys: SecretStr | None = Field(
        None, description='Who may call, as JSON: {"name": "key"}. Unset: everybody. Never logged.'
    )
    gateway_rate_per_minute: float | None = Field(
        None, gt=0, description="Calls a minute that ask for try-ons, for each API key. Unset: no limit."
    )
    gateway_cors_origins: list[str] = Field(
        [], description="Origins of other web pages that may call, as JSON; * is any. Unset: none."
    )
    gateway_view: Path | None = Field(
        None, description="SQLite file for what is read from Kafka; can be deleted at any time. Unset: a temporary one."
    )
    webhook_secret: SecretStr | None = Field(
        None, description="What callbacks are signed with: whsec_ and 24 to 64 bytes in base64. Never logged."
    )
    webhook_allow: list[str] = Field(
        [], description="Hosts and networks that callbacks may reach though they are private, as JSON."
    )
    webhook_attempts: int = Field(8, ge=1, le=100, description="How often a callback is tried.")
    webhook_seconds: float = Field(10.0, gt=0, description="How long one attempt may take.")

    @field_validator("gateway_api_keys")
    @classmethod
    def _names_and_keys(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None and not _usable(_read(keys)):
            raise ValueError('must be JSON such as {"name": "key"}, with keys of visible ASCII characters')
        return keys

    @field_validator("webhook_secret")
    @classmethod
    def _can_sign(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            key_of(secret.get_secret_value())
        return secret

    @property
    def api_keys(self) -> dict[str, str]:
        """Who may call, and with which key. Empty: everybody, without."""
        return {} if self.gateway_api_keys is None else _read(self.gateway_api_keys)


def _read(keys: SecretStr) -> dict[str, str]:
    try:
        found = json.loads(keys.get_secret_value())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _usable(keys: dict[str, str]) -> bool:
    return bool(keys) and all(
        name and isinstance(key, str) and key and all("!" <= character <= "~" for character in key)
        for name, key in keys.items()
    )
