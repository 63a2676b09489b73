"""How a service is, for whoever starts, restarts or sends requests to it."""

from typing import Literal

from shared_utils.contracts import Message


class Health(Message):
    status: Literal["live", "ready", "not ready"]
