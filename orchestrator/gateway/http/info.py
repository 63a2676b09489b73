"""What a client can know before it asks for anything."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.gateway.core import Gateway
from orchestrator.gateway.intake import FIELDS
from orchestrator.gateway.settings import GatewayConfig
from orchestrator.models import TryOnRequest
from shared_utils import __version__

CHOICES = ("upscale_method", "output_format")


class Limits(BaseModel):
    max_upload_mb: float = Field(description="All pictures of one call together.")
    max_image_megapixels: float = Field(description="Of each picture.")
    max_garments: int = Field(description="In one call.")


class Info(BaseModel):
    model_config = ConfigDict(frozen=True)

    version: str
    defaults: dict[str, Any] = Field(description="What is used for each field that is left out.")
    limits: Limits
    choices: dict[str, list[str]] = Field(description="The values that a field can have, where they are few.")
    miniature: bool | None = Field(description="Whether miniature models are in use; null if unknown yet.")
    api_key_needed: bool = Field(description="Whether calls need Authorization: Bearer KEY.")


def info(gateway: Gateway, config: GatewayConfig) -> Info:
    schema = TryOnRequest.model_json_schema()["properties"]
    return Info(
        version=__version__,
        defaults={name: _default(name, config) for name in sorted(FIELDS) if not _required(name)},
        limits=Limits(
            max_upload_mb=config.gateway_max_upload_mb,
            max_image_megapixels=config.max_image_megapixels,
            max_garments=config.gateway_max_garments,
        ),
        choices={name: _choices(schema[name]) for name in CHOICES},
        miniature=gateway.view.miniature(),
        api_key_needed=gateway.keys.needed,
    )


def _required(name: str) -> bool:
    return TryOnRequest.model_fields[name].is_required()


def _default(name: str, config: GatewayConfig) -> Any:
    """The environment's, where it may give one."""
    return getattr(config, name, TryOnRequest.model_fields[name].default)


def _choices(schema: dict[str, Any]) -> list[str]:
    kinds = [schema, *schema.get("anyOf", [])]
    return [value for kind in kinds for value in kind.get("enum", [])]
