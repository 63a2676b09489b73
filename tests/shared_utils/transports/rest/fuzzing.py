"""schemathesis as a function: what it finds wrong with a server that says of itself what it answers."""

from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

SETTINGS: dict[str, Any] = {
    "seed": 1,
    "generation": {"deterministic": True, "database": "none"},
    "phases": {"stateful": {"enabled": False}},
    "checks": {
        # A number may be given as text, as on the command line: JSON Schema has no word for that.
        "negative_data_rejection": {"enabled": False},
        # A path that is well formed need not lead anywhere.
        "positive_data_acceptance": {"enabled": False},
    },
}


@dataclass
class Findings:
    """What was tried, and what was wrong."""

    statuses: dict[str, set[int]] = field(default_factory=dict)
    """By operation."""
    problems: list[str] = field(default_factory=list)


def fuzz(url: str, examples: int) -> Findings:
    """Try every operation of the OpenAPI at this address, with that many examples of each kind at most."""
    given = SETTINGS | {"generation": SETTINGS["generation"] | {"max-examples": examples}}
    schema = schemathesis.openapi.from_url(url, config=SchemathesisConfig.from_dict(given))
    findings = Findings()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _note(event.recorder, findings)
        elif isinstance(event, events.NonFatalError):
            findings.problems.append(f"{event.label}: {event.value}")
        elif isinstance(event, events.FatalError):
            raise event.exception
    return findings


def _note(recorder: Any, findings: Findings) -> None:
    for interaction in recorder.interactions.values():
        if interaction.response is not None:
            findings.statuses.setdefault(recorder.label, set()).add(interaction.response.status_code)
    for case, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                request = recorder.interactions[case].request
                body = (request.body or b"")[:200]
                findings.problems.append(
                    f"{check.name}: {request.method} {request.uri} {body!r}: {check.failure_info.failure}"
                )
