"""What an orchestrator tells Prometheus: of the try-ons it takes, and of the steps it waits for."""

from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from orchestrator.state import TryOn
from orchestrator.steps import STEPS
from shared_utils.telemetry.metrics import CODE, MOST_CODES, DeadLetters, Few, Metrics

Running = Callable[[], Iterable[TryOn]]


class Counts(Metrics):
    """Counted is what has been committed: what was thrown away with a transaction has not happened."""

    def __init__(self, ready: Callable[[], bool]) -> None:
        super().__init__("orchestrator", ready)
        self.letters = DeadLetters(self)
        self._codes = Few(MOST_CODES, CODE)
        self._taken = self.counter("vtryon_tryons_taken", "Try-ons that were begun with.")
        self._ended = self.counter("vtryon_tryons_ended", "Try-ons that have ended.", "state", "code")
        self._seconds = self.histogram("vtryon_tryon_seconds", "From being taken to the end.", "state")
        self._requests = self.counter("vtryon_step_requests", "Requests sent to stages.", "stage", "attempt")
        self._turnaround = self.histogram(
            "vtryon_step_turnaround_seconds", "From sending a step's last attempt to its answer.", "stage"
        )
        self._known = _Known()
        self.registry.register(self._known)
        self._ended.labels("succeeded", "")
        for step in STEPS:
            for attempt in ("first", "again"):
                self._requests.labels(step, attempt)

    def watch(self, running: Running) -> None:
        """Where to look for those under way."""
        self._known.running = running

    def changed(self, before: TryOn | None, now: TryOn) -> None:
        """A try-on is in another state than it was."""
        if before is None:
            self._taken.inc()
        for name, step in now.steps.items():
            was = None if before is None else before.steps.get(name)
            for attempt in range((was.attempt if was else 0) + 1, step.attempt + 1):
                self._requests.labels(name, "first" if attempt == 1 else "again").inc()
            if step.state == "done" and step.finished and (was is None or was.state != "done"):
                self._turnaround.labels(name).observe((step.finished - step.started).total_seconds())
        if now.ended:
            self._ended.labels(now.state, self._codes.of(now.problem.code) if now.problem else "").inc()
            self._seconds.labels(now.state).observe((now.updated - now.submitted).total_seconds())


class _Known(Collector):
    """What is under way when somebody asks."""

    def __init__(self) -> None:
        self.running: Running = tuple

    def collect(self) -> Iterable[GaugeMetricFamily]:
        tryons = list(self.running())
        yield GaugeMetricFamily("vtryon_tryons_running", "Try-ons under way.", value=len(tryons))
        steps = GaugeMetricFamily(
            "vtryon_steps_in_flight", "Requests to stages that have not been answered.", labels=["stage"]
        )
        for name in STEPS:
            steps.add_metric([name], sum(name in tryon.in_flight for tryon in tryons))
        yield steps
