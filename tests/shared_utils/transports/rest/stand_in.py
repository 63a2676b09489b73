"""A stage that does what the test tells it to, when it tells it to."""

import threading
from typing import Any

from pydantic import Field

from shared_utils.comfy.loader import Models
from shared_utils.comfy.progress import running
from shared_utils.contracts import OutputOptions, Request, Strength, Success
from shared_utils.settings import Settings

SOON = 300.0
"""What only a hang exceeds."""


class StandInRequest(OutputOptions, Request):
    text: str = Field(max_length=100, examples=["anything"])
    strength: Strength = Field(1.0)
    nodes: int = Field(1, ge=1, le=1000, description="How many nodes run, one after the other.")


class StandInResponse(Success):
    text: str


class StandInOptions(OutputOptions, Settings):
    pass


class StandIn:
    """Runs as many nodes as it is asked for. While it is held, each waits for `step`."""

    name = "stand_in"
    verb = "do"
    request_type = StandInRequest
    response_type = StandInResponse

    def __init__(self, *, held: bool = False, cold: bool = False) -> None:
        self.options: Any = StandInOptions()
        self.models = Models(self.options)
        self.steps = threading.Semaphore(0)
        """How many nodes may run."""
        self.begun = threading.Semaphore(0)
        """How many have begun."""
        self.may_warm_up = threading.Event()
        self.warming_up_fails: Exception | None = None
        self.seen: list[str] = []
        self.held = held
        if not cold:
            self.may_warm_up.set()

    def warm_up(self) -> None:
        assert self.may_warm_up.wait(SOON)
        if self.warming_up_fails is not None:
            raise self.warming_up_fails

    def run(self, request: StandInRequest) -> StandInResponse:
        self.seen.append(request.text)
        for _ in range(request.nodes):
            with running("Node"):
                self.begun.release()
                if self.held:
                    assert self.steps.acquire(timeout=SOON)
        return StandInResponse.to(request, text=request.text)
