"""What an overlay comes to, and ways to look into it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Thing = dict[str, Any]
WORKLOADS = ("Deployment", "StatefulSet", "Job")


@dataclass(frozen=True)
class Rendered:
    name: str
    things: list[Thing]

    def of(self, *kinds: str) -> Iterator[Thing]:
        return (each for each in self.things if each["kind"] in kinds)

    def named(self, kind: str, name: str) -> Thing | None:
        return next((each for each in self.of(kind) if each["metadata"]["name"] == name), None)

    def workloads(self) -> Iterator[Thing]:
        return self.of(*WORKLOADS)

    def names(self, kind: str) -> set[str]:
        return {each["metadata"]["name"] for each in self.of(kind)}


def pod(workload: Thing) -> Any:
    """What is said of its pods."""
    return workload["spec"]["template"]["spec"]


def labels(workload: Thing) -> dict[str, str]:
    """Of its pods."""
    found: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return found


def selects(selector: Mapping[str, Any], found: Mapping[str, str]) -> bool:
    """Whether a label selector takes what has these labels. An empty one takes everything."""
    for name, value in (selector.get("matchLabels") or {}).items():
        if found.get(name) != value:
            return False
    return all(_fulfilled(each, found) for each in selector.get("matchExpressions") or [])


def _fulfilled(expression: Mapping[str, Any], found: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values", [])
    match expression["operator"]:
        case "In":
            return found.get(key) in values
        case "NotIn":
            return found.get(key) not in values
        case "Exists":
            return key in found
        case "DoesNotExist":
            return key not in found
    raise ValueError(f"no operator {expression['operator']}")
