"""How long ComfyUI's nodes ran in workers, read from their own metrics."""

import re
import urllib.request
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

_PORT = re.compile(r"health and metrics are on http://[^:]+:(\d+)")
_SUM = re.compile(r'^vtryon_node_seconds_sum\{node="(\w+)",stage="(\w+)"\} (\S+)$', re.MULTILINE)
_GPU = re.compile(r'^vtryon_gpu_memory_reserved_bytes\{gpu="\d+"\} (\S+)$', re.MULTILINE)
SECONDS = 30.0

Nodes = dict[tuple[str, str], float]
"""Seconds by stage and node."""


def metrics_port(log: Path) -> int:
    """As a worker's log says."""
    found = _PORT.search(log.read_text(errors="replace"))
    if found is None:
        raise RuntimeError(f"{log} does not say where the metrics are")
    return int(found[1])


def seconds_of(ports: Iterable[int]) -> Nodes:
    """Since the workers' start."""
    seconds: Nodes = defaultdict(float)
    for port in ports:
        for node, stage, total in _SUM.findall(_metrics(port)):
            seconds[stage, node] += float(total)
    return seconds


def gpu_mb(port: int) -> float | None:
    """What the worker's PyTorch holds of the GPUs' memory; none where there is no GPU, or it has not used one yet."""
    found = _GPU.findall(_metrics(port))
    return sum(map(float, found)) / 1024**2 if found else None


def _metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS) as answer:
        return str(answer.read().decode())


def since(before: Nodes, after: Nodes) -> Nodes:
    return {each: seconds - before.get(each, 0.0) for each, seconds in after.items()}


def in_a_row(nodes: Nodes, apart: bool) -> float | None:
    """The seconds that one try-on waits for. Of the two encoders the longer counts where each is a process. In one
    process some of their nodes take turns and some do not: these sums do not tell how long they took together."""
    stages: dict[str, float] = defaultdict(float)
    for (stage, _), seconds in nodes.items():
        stages[stage] += seconds
    encoders = stages.pop("latent_encoder", 0.0), stages.pop("text_encoder", 0.0)
    if min(encoders) and not apart:
        return None
    return max(encoders) + sum(stages.values())
