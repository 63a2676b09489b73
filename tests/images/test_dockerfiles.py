"""What every image must be. `make test-images` builds them and looks at the real ones."""

import fnmatch
import re
from pathlib import Path

import pytest

from shared_utils.transports.kafka.apache import VERSION as KAFKA
from tests.conftest import ROOT
from tests.images import files

EVERY = pytest.mark.parametrize("dockerfile", files.DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT)))
RUNNING = pytest.mark.parametrize(
    "dockerfile", [*files.ON_BASE, files.ORCHESTRATOR], ids=lambda path: str(path.relative_to(ROOT))
)
IGNORED = [
    line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.strip() and not line.startswith("#")
]
LABELS = ("title", "description", "version", "revision", "source", "licenses")


def in_build_context(path: str) -> bool:
    """Whether .dockerignore lets a path through: the last line that matches it, or a folder that it is in, decides."""
    parts = Path(path).parts
    parents = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    kept = True
    for line in IGNORED:
        pattern = line.removeprefix("!")
        tails = [pattern, pattern.removeprefix("**/")] if pattern.startswith("**/") else [pattern]
        names = [*parents, *(Path(each).name for each in parents)] if pattern.startswith("**/") else parents
        if any(fnmatch.fnmatchcase(name, tail) for name in names for tail in tails):
            kept = line.startswith("!")
    return kept


@EVERY
def test_is_built_of_what_is_here(dockerfile: Path) -> None:
    assert not files.values(dockerfile, "ADD"), "ADD may fetch from elsewhere, and unpacks what it likes"
    for value in files.values(dockerfile, "COPY"):
        *sources, _ = value.split()
        for source in sources:
            assert (ROOT / source).exists(), f"{source} is not there"
            assert in_build_context(source), f".dockerignore keeps {source} out"


@pytest.mark.parametrize(
    "path",
    [
        ".git/config", "out/models/vae/x.safetensors", "models/vae/x.safetensors", ".venv/bin/python", ".env",
        "sampling/.env", "output/tryon.png", "tests/conftest.py", "sampling/__pycache__/main.pyc", "k8s/a.yaml",
    ],
)  # fmt: skip
def test_what_stays_out(path: str) -> None:
    assert not in_build_context(path)


@EVERY
def test_runs_as_nobody_of_importance(dockerfile: Path) -> None:
    assert files.values(dockerfile, "USER")[-1] == "10001:10001"


@RUNNING
def test_signals_reach_python(dockerfile: Path) -> None:
    """A shell as the first process would keep SIGTERM to itself."""
    assert files.exec_form(files.values(dockerfile, "ENTRYPOINT")[-1])[:2] == ["python", "-m"]
    files.exec_form(files.values(dockerfile, "CMD")[-1])


@RUNNING
def test_is_checked(dockerfile: Path) -> None:
    check = files.values(dockerfile, "HEALTHCHECK")[-1]
    environment = " ".join(files.values(dockerfile, "ENV"))
    assert "HEALTH_HOST=0.0.0.0" in environment
    assert "HEALTH_PORT=9090" in environment
    assert "http://127.0.0.1:9090/health/ready" in check
    assert files.exec_form(check[check.index("[") :])[0] == "python"


@RUNNING
def test_says_what_it_is(dockerfile: Path) -> None:
    labels = " ".join(files.values(dockerfile, "LABEL"))
    for name in LABELS:
        assert f"org.opencontainers.image.{name}=" in labels
    arguments = files.arguments(dockerfile)
    for name in ("VERSION", "REVISION", "SOURCE"):
        assert name in arguments
    carries_comfyui = dockerfile in files.ON_BASE
    assert ("GPL-3.0" in labels) == carries_comfyui, "ComfyUI's licence holds for images that carry it, and no other"


@pytest.mark.parametrize("dockerfile", [files.BASE, files.ORCHESTRATOR], ids=["base", "orchestrator"])
def test_versions_are_the_tested_ones(dockerfile: Path) -> None:
    base = files.arguments(dockerfile)["BASE_IMAGE"]
    assert re.fullmatch(r"[\w/]+:\d[\w.-]+", base), f"{base} is no tag of one version"
    for value in files.values(dockerfile, "RUN"):
        for command in re.findall(r"pip install [^&;]+", value):
            assert "--constraint constraints.txt" in command or "--no-deps ." in command


def test_no_registry_and_no_weights() -> None:
    for dockerfile in files.DOCKERFILES:
        text = dockerfile.read_text()
        assert not re.search(r"https?://(?!127\.0\.0\.1)", text)
        assert "models download" not in text


def test_the_stand_in_for_kafka_is_the_tested_one() -> None:
    assert f"apache/kafka:{KAFKA}" in files.COMPOSE.read_text()
    assert f"apache/kafka:{KAFKA}" in (ROOT / "scripts" / "test_images.py").read_text()
