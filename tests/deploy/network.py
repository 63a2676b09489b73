"""NetworkPolicies, as a network plugin would go by them: who may speak to whom.

Ports are numbers in these manifests, and addresses outside of the cluster are single ones: more is not needed here.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.deploy.rendered import Rendered, labels, selects

NAMESPACE = "vtryon"


@dataclass(frozen=True)
class Peer:
    """A pod, or an address that is none."""

    labels: Mapping[str, str]
    namespace: str = NAMESPACE
    namespace_labels: Mapping[str, str] | None = None
    address: str | None = None

    @classmethod
    def of(cls, rendered: Rendered, name: str) -> "Peer":
        (workload,) = [each for each in rendered.workloads() if each["metadata"]["name"] == name]
        return cls(labels(workload))

    @property
    def all_namespace_labels(self) -> dict[str, str]:
        return {"kubernetes.io/metadata.name": self.namespace} | dict(self.namespace_labels or {})

    @property
    def is_ours(self) -> bool:
        return self.address is None and self.namespace == NAMESPACE


def allowed(rendered: Rendered, source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """The one must be let out, the other must let in; what lies outside of the namespace has no rules that we know."""
    out = not source.is_ours or _passes(rendered, "Egress", source, target, port, protocol)
    return out and (not target.is_ours or _passes(rendered, "Ingress", target, source, port, protocol))


def _passes(rendered: Rendered, way: str, inside: Peer, other: Peer, port: int, protocol: str) -> bool:
    policies = [
        each["spec"]
        for each in rendered.of("NetworkPolicy")
        if way in each["spec"]["policyTypes"] and selects(each["spec"]["podSelector"], inside.labels)
    ]
    if not policies:
        return True  # nobody has said anything about this pod
    rules = (rule for policy in policies for rule in policy.get(way.lower()) or [])
    return any(_peer_fits(rule, way, other) and _port_fits(rule, port, protocol) for rule in rules)


def _peer_fits(rule: Mapping[str, Any], way: str, other: Peer) -> bool:
    peers = rule.get("from" if way == "Ingress" else "to")
    return not peers or any(_fits(each, other) for each in peers)


def _fits(peer: Mapping[str, Any], other: Peer) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        return other.address is not None and any(_within(other.address, [block["cidr"]])) and not any(
            _within(other.address, block.get("except", []))
        )  # fmt: skip
    if other.address is not None:
        return False
    if "namespaceSelector" in peer:
        space = selects(peer["namespaceSelector"], other.all_namespace_labels)
    else:
        space = other.namespace == NAMESPACE
    return space and selects(peer.get("podSelector", {}), other.labels)


def _within(address: str, blocks: list[str]) -> Iterator[bool]:
    return (ipaddress.ip_address(address) in ipaddress.ip_network(block) for block in blocks)


def _port_fits(rule: Mapping[str, Any], port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    return not ports or any(
        each.get("protocol", "TCP") == protocol and each["port"] <= port <= each.get("endPort", each["port"])
        for each in ports
    )
