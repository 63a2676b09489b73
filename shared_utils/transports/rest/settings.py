"""What the environment says about a service's REST."""

from pydantic import Field

from shared_utils.settings import Settings


class RestSettings(Settings):
    """The settings of every process, and how a stage is reached over HTTP."""

    rest_host: str = Field("127.0.0.1", min_length=1, description="Address to listen on. 0.0.0.0: all that there are.")
    rest_port: int = Field(
        8000, ge=0, lt=2**16, description="Port to listen on. 0: any that is free; the log says which."
    )
    rest_queue: int = Field(
        4, ge=0, le=10_000, description="How many requests may wait while one is worked on. More are refused with 503."
    )
    rest_max_body_mb: float = Field(1.0, gt=0, description="A longer body is refused with 413.")
    rest_body_seconds: float = Field(30.0, gt=0, description="A body that takes longer to arrive is refused with 408.")
    rest_drain_seconds: float = Field(
        60.0, ge=0, description="How long the request in hand may go on when the process is to end. Then it is stopped."
    )
