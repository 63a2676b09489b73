"""Who may speak to whom: what is needed works, and nothing else does."""

import pytest

from tests.deploy.network import Peer, allowed
from tests.deploy.rendered import Rendered, labels

DNS = Peer({"k8s-app": "kube-dns"}, namespace="kube-system")
PROMETHEUS = Peer({"app": "prometheus"}, namespace="monitoring")
KEDA = Peer({"app": "keda-operator"}, namespace="keda")
CALLERS = Peer({}, namespace="ingress", namespace_labels={"vtryon/gateway": "caller"})
STRANGER = Peer({"app": "other"}, namespace="other")
INTERNET = Peer({}, address="203.0.113.7")
METADATA = Peer({}, address="169.254.169.254")
PRIVATE = Peer({}, address="10.1.2.3")
STRIMZI = Peer({"strimzi.io/cluster": "vtryon", "strimzi.io/broker-role": "true"})
TOPIC_OPERATOR = Peer({"strimzi.io/cluster": "vtryon", "strimzi.io/name": "vtryon-entity-operator"})


def _by(rendered: Rendered, *components: str) -> list[Peer]:
    return [
        Peer(labels(each)) for each in rendered.workloads() if labels(each)["app.kubernetes.io/component"] in components
    ]


def _broker(rendered: Rendered) -> Peer:
    if rendered.named("StatefulSet", "kafka"):
        return Peer.of(rendered, "kafka")
    return STRIMZI if rendered.named("Kafka", "vtryon") else Peer({}, address="10.9.8.7")


def test_everybody_can_ask_for_names(rendered: Rendered) -> None:
    for workload in rendered.workloads():
        for protocol in ("UDP", "TCP"):
            assert allowed(rendered, Peer(labels(workload)), DNS, 53, protocol)


def test_clients_reach_kafka_and_the_download_of_models_does_not(rendered: Rendered) -> None:
    clients = _by(rendered, "orchestrator", "gateway", "worker")
    clients += [Peer.of(rendered, "topics")] if rendered.named("Job", "topics") else []
    assert all(allowed(rendered, each, _broker(rendered), 9092) for each in clients)
    assert not allowed(rendered, Peer.of(rendered, "models"), _broker(rendered), 9092)
    if _broker(rendered).is_ours:
        assert allowed(rendered, KEDA, _broker(rendered), 9092)
        assert not allowed(rendered, STRANGER, _broker(rendered), 9092)


def test_strimzi_can_run(renders: dict[str, Rendered]) -> None:
    """Its pods let each other in by rules that its operator makes; out they go by ours."""
    for port in (9090, 9091):
        assert allowed(renders["cluster"], TOPIC_OPERATOR, PRIVATE, 443)
        assert allowed(renders["cluster"], STRIMZI, Peer({}, namespace="elsewhere"), port)


def test_prometheus_reaches_every_metrics_port(rendered: Rendered) -> None:
    for workload in rendered.of("Deployment"):
        notes = workload["spec"]["template"]["metadata"]["annotations"]
        assert notes["prometheus.io/scrape"] == "true"
        port = int(notes["prometheus.io/port"])
        assert allowed(rendered, PROMETHEUS, Peer(labels(workload)), port)
        assert not allowed(rendered, STRANGER, Peer(labels(workload)), port)
        if labels(workload)["app.kubernetes.io/component"] != "triton":
            assert allowed(rendered, Peer(labels(workload)), PROMETHEUS, 4317)


@pytest.mark.parametrize("port", [8080, 50050])
def test_the_gateway_is_for_those_who_were_let_in(rendered: Rendered, port: int) -> None:
    gateway = Peer.of(rendered, "gateway")
    assert allowed(rendered, CALLERS, gateway, port)
    assert allowed(rendered, Peer({"vtryon/gateway": "caller"}), gateway, port)
    assert not allowed(rendered, STRANGER, gateway, port)
    assert not any(allowed(rendered, each, gateway, port) for each in _by(rendered, "worker", "orchestrator"))


def test_webhooks_go_to_the_internet_and_not_into_the_house(rendered: Rendered) -> None:
    gateway = Peer.of(rendered, "gateway")
    for port in (80, 443):
        assert allowed(rendered, gateway, INTERNET, port)
        assert not allowed(rendered, gateway, PRIVATE, port)
        assert not allowed(rendered, gateway, METADATA, port)


def test_models_are_downloaded_and_workers_go_nowhere(rendered: Rendered) -> None:
    assert allowed(rendered, Peer.of(rendered, "models"), INTERNET, 443)
    for worker in _by(rendered, "worker", "orchestrator", "triton"):
        assert not allowed(rendered, worker, INTERNET, 443)
        assert not any(allowed(rendered, worker, other, 9090) for other in _by(rendered, "worker", "gateway"))


def test_workers_reach_triton_and_nobody_else_does(renders: dict[str, Rendered]) -> None:
    for name in ("hybrid", "many"):
        triton = Peer.of(renders[name], "triton")
        assert all(allowed(renders[name], each, triton, 8001) for each in _by(renders[name], "worker"))
        for other in (STRANGER, PROMETHEUS, *_by(renders[name], "gateway", "orchestrator", "job")):
            assert not allowed(renders[name], other, triton, 8001)
