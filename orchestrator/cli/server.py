"""Where the gateway is that commands speak to instead of Kafka, if there is one."""

import argparse

from pydantic import Field, SecretStr

from orchestrator.client import Client
from shared_utils.settings import Settings


class ServerSettings(Settings):
    vtryon_server: str | None = Field(None, description="The gateway that commands speak to: http://host:port.")
    vtryon_api_key: SecretStr | None = Field(None, description="What they show it. Never logged.")


def add_flag(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--server",
        metavar="URL",
        help="a gateway to speak to, http://host:port, instead of Kafka (default: VTRYON_SERVER); an API key for it "
        "is read from VTRYON_API_KEY",
    )


def client(given: argparse.Namespace) -> Client | None:
    """None: there is no gateway, Kafka is spoken to."""
    settings = ServerSettings.read(vtryon_server=given.server)
    return None if settings.vtryon_server is None else Client(settings.vtryon_server, settings.vtryon_api_key)


def more(given: argparse.Namespace) -> str:
    """What a further command needs, too, to speak to the same one."""
    return f" --server {given.server}" if given.server else ""
