"""What the environment says about the Triton that stages run on."""

import re

from pydantic import Field, field_validator

from shared_utils.settings import Settings


class TritonSettings(Settings):
    """The settings of every process, and how Triton is reached."""

    triton_url: str = Field("localhost:8001", description="Where Triton answers gRPC: host:port.")
    triton_timeout_seconds: float = Field(
        600.0, gt=0, description="How long a request may take there, its wait for others included."
    )
    triton_ready_seconds: float = Field(
        600.0, ge=0, description="How long a process that starts waits for Triton to have loaded its models."
    )

    @field_validator("triton_url")
    @classmethod
    def _host_and_port(cls, url: str) -> str:
        address = url.removeprefix("grpc://")
        if re.fullmatch(r"[^\s/]+:\d{1,5}", address) is None:
            raise ValueError("give host:port, and the port for gRPC: 8001, unless Triton was told another")
        return address
