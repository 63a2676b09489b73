"""The Dockerfiles, the compose file and what they name, read as text: nothing here needs an engine."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

STAGES = ("latent_encoder", "text_encoder", "sampling", "decoding")
BASE = ROOT / "Dockerfile.base"
ON_BASE = [ROOT / folder / "Dockerfile" for folder in (*STAGES, "shared_utils")]
ORCHESTRATOR = ROOT / "orchestrator" / "Dockerfile"
DOCKERFILES = [BASE, *ON_BASE, ORCHESTRATOR]
COMPOSE = ROOT / "docker-compose.yml"
ENV_EXAMPLE = ROOT / ".env.example"


@dataclass(frozen=True)
class Instruction:
    """One of a Dockerfile, its lines made one."""

    name: str
    value: str


def instructions(dockerfile: Path) -> list[Instruction]:
    whole = re.sub(r"^\s*#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [Instruction(*line.split(None, 1)) for line in whole.splitlines() if line.strip()]


def values(dockerfile: Path, name: str) -> list[str]:
    """Of the instructions of that name, with those that an image takes over from what it stands on."""
    own = [each.value for each in instructions(dockerfile) if each.name == name]
    return [*values(BASE, name), *own] if dockerfile in ON_BASE else own


def arguments(dockerfile: Path) -> dict[str, str]:
    """Of ARG, with their defaults."""
    return {name: default for name, _, default in (value.partition("=") for value in values(dockerfile, "ARG"))}


def exec_form(value: str) -> list[str]:
    """The words of ENTRYPOINT and CMD; not JSON would be a command for a shell."""
    words = json.loads(value)
    assert isinstance(words, list), value
    assert all(isinstance(word, str) for word in words), value
    return words


def given_in_env_example() -> dict[str, str]:
    lines = [line for line in ENV_EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def read_by_compose() -> dict[str, set[str]]:
    """The variables in docker-compose.yml, and the defaults that they have there."""
    found: dict[str, set[str]] = {}
    for name, default in re.findall(r"\$\{(\w+):-((?:[^{}])*)\}", COMPOSE.read_text()):
        found.setdefault(name, set()).add(default)
    return found
