"""What Prometheus is told of a gateway."""

from collections.abc import Iterable

from prometheus_client import Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from orchestrator.gateway.core import Gateway
from shared_utils.telemetry import metrics

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics(metrics.Metrics):
    """Those of one gateway: two in one process do not add up."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__("gateway", lambda: gateway.ready)
        self._calls = self.counter("vtryon_gateway_requests", "Calls that were answered.", "method", "route", "status")
        self._seconds = Histogram(
            "vtryon_gateway_request_seconds",
            "How long answers took to begin.",
            ["method", "route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.open_streams = self.gauge("vtryon_gateway_open_streams", "Event streams that are open.")
        self.registry.register(Known(gateway))

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        self._calls.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)


class Known(Collector):
    """What the view says when it is asked."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> Iterable[GaugeMetricFamily]:
        view = self._gateway.view
        tryons = GaugeMetricFamily("vtryon_gateway_tryons", "Try-ons that are known.", labels=["state"])
        for state, count in view.counts().items():
            tryons.add_metric([state], count)
        yield tryons
        yield GaugeMetricFamily(
            "vtryon_gateway_waiting", "Try-ons that no orchestrator has taken yet.", value=view.waiting()
        )
        yield GaugeMetricFamily(
            "vtryon_gateway_view_lag", "Messages in Kafka that were not read yet.", value=self._gateway.follower.lag()
        )
        yield GaugeMetricFamily(
            "vtryon_gateway_ready", "Whether all was read once that there was.", value=int(self._gateway.ready)
        )
