"""How long each node of ComfyUI takes: told to whoever wants to know, and seen in the trace."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from shared_utils.telemetry.told import Told
from shared_utils.telemetry.traces import span

nodes_ran: Told[str, float] = Told("nodes_ran")
"""A node's name, and its seconds."""


@contextmanager
def timed(node: str) -> Iterator[None]:
    """A run of a node."""
    began = time.perf_counter()
    try:
        with span(node, node=node):
            yield
    finally:
        nodes_ran.tell(node, time.perf_counter() - began)
