"""What a process tells Prometheus: what all processes have in common, and what all that serve a stage have."""

import re
import sys
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared_utils import __version__

TEXT = CONTENT_TYPE_LATEST
SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
SUCCESS = "success"
OTHER = "other"
MOST_MODELS = 20
"""Whose names become labels. A request can name any file that there is."""
MOST_CODES = 100
"""Error codes that become labels. On Kafka anybody can write one."""
CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class Few:
    """Values for a label: the first so many that there are, and then `other`. Each is a time series, for good."""

    def __init__(self, most: int, form: re.Pattern[str] | None = None) -> None:
        self._most = most
        self._form = form
        self._known: set[str] = set()

    def of(self, value: str) -> str:
        if value not in self._known:
            if len(self._known) >= self._most or (self._form and not self._form.fullmatch(value)):
                return OTHER
            self._known.add(value)
        return value


class Metrics:
    """A process's. Has a registry of its own, so that two of them in a process don't get into each other's way."""

    def __init__(self, service: str, ready: Callable[[], bool]) -> None:
        self.registry = CollectorRegistry()
        info = Gauge("vtryon_info", "Which process this is.", ["service", "version"], registry=self.registry)
        info.labels(service, __version__).set(1)
        self.gauge("vtryon_ready", "Whether the process is ready: 0 or 1.").set_function(ready)
        ProcessCollector(registry=self.registry)
        self.registry.register(_Gpus())

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=SECONDS, registry=self.registry)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class StageMetrics(Metrics):
    """Those of a process that serves one stage or several."""

    def __init__(self, service: str, ready: Callable[[], bool]) -> None:
        super().__init__(service, ready)
        self._codes = Few(MOST_CODES, CODE)
        self._models = Few(MOST_MODELS)
        outcomes = ("stage", "outcome")
        self._requests = self.counter(
            "vtryon_requests", "Requests that were answered: success, or the error's code.", *outcomes
        )
        self._seconds = self.histogram(
            "vtryon_request_seconds", "From taking a request to its answer, waits and retries included.", *outcomes
        )
        self._in_progress = self.gauge("vtryon_requests_in_progress", "Requests worked on: 0 or 1.", "stage")
        self._waiting = self.gauge("vtryon_requests_waiting", "Requests in the process's own queue.", "stage")
        self._attempts = self.counter("vtryon_attempts", "How often work on a request began.", *outcomes)
        self._retries = self.counter("vtryon_retries", "Attempts after the first one.", "stage")
        self._steps = self.histogram(
            "vtryon_step_seconds", "An attempt that succeeded, by the file of its main model.", "stage", "model"
        )
        self._nodes = self.histogram("vtryon_node_seconds", "One run of a node of ComfyUI.", "stage", "node")
        self._reuse = self.counter(
            "vtryon_reuse", "Work looked for among what was done before.", "stage", "work", "found"
        )
        self._loaded = self.gauge("vtryon_models_loaded", "Models in memory.", "kind")
        self._bytes = self.gauge("vtryon_models_bytes", "Memory that the loaded models take.", "kind")

    def serves(self, stage: str) -> None:
        """Tells of this stage from now on, also while nothing has happened."""
        self._requests.labels(stage, SUCCESS)
        self._attempts.labels(stage, SUCCESS)
        self._retries.labels(stage)
        self._in_progress.labels(stage)

    def watch(self, stage: str, working: Callable[[], bool], waiting: Callable[[], int] | None = None) -> None:
        """Whether it has a job in hand, and how many wait in this process."""
        self._in_progress.labels(stage).set_function(working)
        if waiting is not None:
            self._waiting.labels(stage).set_function(waiting)

    def answered(self, stage: str, outcome: str, seconds: float | None = None) -> None:
        """One more answer; without seconds if it was not worth measuring."""
        label = self._outcome(outcome)
        self._requests.labels(stage, label).inc()
        if seconds is not None:
            self._seconds.labels(stage, label).observe(seconds)

    def attempted(self, stage: str, outcome: str) -> None:
        self._attempts.labels(stage, self._outcome(outcome)).inc()

    def retried(self, stage: str) -> None:
        self._retries.labels(stage).inc()

    def worked(self, stage: str, model: str, seconds: float) -> None:
        self._steps.labels(stage, self._models.of(model)).observe(seconds)

    def ran(self, stage: str, node: str, seconds: float) -> None:
        self._nodes.labels(stage, node).observe(seconds)

    def looked_for(self, stage: str, work: str, found: bool) -> None:
        self._reuse.labels(stage, work, "yes" if found else "no").inc()

    def hold(self, models: Iterable[tuple[str, int]]) -> None:
        """The kind and the size of each model in memory; those of before are gone."""
        found: dict[str, list[int]] = {}
        for kind, size in models:
            found.setdefault(kind, []).append(size)
        before = {sample.labels["kind"] for family in self._loaded.collect() for sample in family.samples}
        for kind in before | found.keys():
            self._loaded.labels(kind).set(len(found.get(kind, ())))
            self._bytes.labels(kind).set(sum(found.get(kind, ())))

    def _outcome(self, outcome: str) -> str:
        return outcome if outcome == SUCCESS else self._codes.of(outcome)


class DeadLetters:
    """Counts what is put on a DLQ."""

    def __init__(self, metrics: Metrics) -> None:
        self._codes = Few(MOST_CODES, CODE)
        self._letters = metrics.counter("vtryon_dead_letters", "Requests that were put aside.", "topic", "code")

    def put_aside(self, topic: str, code: str) -> None:
        self._letters.labels(topic, self._codes.of(code)).inc()


class _Gpus(Collector):
    """What PyTorch says of the GPUs, once something of ours has started CUDA: asking would start it, in GPU memory."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        cuda = getattr(sys.modules.get("torch"), "cuda", None)
        if cuda is None or not cuda.is_initialized():
            return
        shown = {
            "used": "In use on the GPU, by whomever.",
            "total": "That the GPU has.",
            "reserved": "That this process's PyTorch holds.",
        }
        families = {
            name: GaugeMetricFamily(f"vtryon_gpu_memory_{name}_bytes", text, labels=["gpu"])
            for name, text in shown.items()
        }
        for number in range(cuda.device_count()):
            for name, value in _memory(cuda, number).items():
                families[name].add_metric([str(number)], value)
        yield from families.values()


def _memory(cuda: object, number: int) -> Mapping[str, int]:
    free, total = cuda.mem_get_info(number)  # type: ignore[attr-defined]  # torch is not imported here, so not known
    held: int = cuda.memory_reserved(number)  # type: ignore[attr-defined]
    return {"used": total - free, "total": total, "reserved": held}
