"""What a service tells Prometheus of its requests, its models and its process."""

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from shared_utils.contracts import Failure, Success
from shared_utils.transports.rest.listing import Listed
from shared_utils.turns import Turns

TEXT = CONTENT_TYPE_LATEST
SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)


class Metrics:
    """Has a registry of its own, so that two of them in a process don't get into each other's way."""

    def __init__(self, turns: Turns, stage: Listed) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "vtryon_requests",
            "Requests that were answered: success, or the error's code.",
            ["outcome"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "vtryon_request_seconds",
            "From the request's arrival to its answer, the wait in the queue included.",
            ["outcome"],
            buckets=SECONDS,
            registry=self._registry,
        )
        waiting = Gauge("vtryon_requests_waiting", "Requests in the queue.", registry=self._registry)
        waiting.set_function(lambda: turns.waiting)
        working = Gauge("vtryon_requests_in_progress", "Requests worked on: 0 or 1.", registry=self._registry)
        working.set_function(lambda: turns.working)
        models = Gauge("vtryon_models_bytes", "Memory that the loaded models take.", registry=self._registry)
        models.set_function(lambda: sum(each.bytes for each in stage.listing.loaded))
        ProcessCollector(registry=self._registry)

    def count(self, answered: Success | Failure, seconds: float | None = None) -> None:
        """One more answer; without seconds if it was not worth measuring."""
        outcome = answered.error_code if isinstance(answered, Failure) else answered.status
        self._requests.labels(outcome).inc()
        if seconds is not None:
            self._seconds.labels(outcome).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)
