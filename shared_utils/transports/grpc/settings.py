"""What the environment says about a service's gRPC."""

from pydantic import Field

from shared_utils.settings import Settings


class GrpcSettings(Settings):
    """The settings of every process, and how a stage is reached over gRPC."""

    grpc_host: str = Field("127.0.0.1", min_length=1, description="Address to listen on. 0.0.0.0: all of this machine.")
    grpc_port: int = Field(
        50051, ge=0, lt=2**16, description="Port to listen on. 0: any that is free; the log says which."
    )
    grpc_queue: int = Field(
        4, ge=0, le=10_000, description="Requests that may wait while one is worked on; more are RESOURCE_EXHAUSTED."
    )
    grpc_max_message_mb: float = Field(1.0, gt=0, le=1000, description="A longer message is refused.")
    grpc_drain_seconds: float = Field(
        60.0, ge=0, description="How long the request in hand may go on when the process is to end. Then it is stopped."
    )
