"""Programs and schemas that these tests need, fetched once into the cache by the ordinary clients: go and mvn.

Everything is kept by its version under `deploy` in the cache (VTRYON_CACHE), so that later runs need no network.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from shared_utils.settings import cache_dir, one_process_at_a_time
from shared_utils.transports.kafka.apache import find_java

KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"
COMPOSE = "github.com/compose-spec/compose-go/v2@v2.16.2"
KEDA = "github.com/kedacore/keda/v2@v2.18.1"
PROMETHEUS_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
POM = Path(__file__).with_name("strimzi.pom.xml")
STRIMZI = {
    f"io.strimzi.api.kafka.model.{name}": name.rpartition(".")[2]
    for name in ("kafka.Kafka", "nodepool.KafkaNodePool", "topic.KafkaTopic")
}

PATIENCE = 900
Schemas = dict[str, Any]
"""Of what is defined in a cluster, by "apiVersion kind"."""


class MissingToolError(Exception):
    """A program is not on this machine, or could not fetch what it was asked for."""


def render(folder: Path) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send."""
    built = _run([*_kustomize(), str(folder)], f"{folder} can't be rendered")
    return [document for document in yaml.load_all(built, _Loader) if document]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Fast where PyYAML was built with libyaml: Strimzi's definitions are long."""


def _kustomize() -> list[str]:
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    return [str(kept(KUSTOMIZE, _build_kustomize) / "kustomize"), "build"]


def _build_kustomize(target: Path) -> None:
    advice = "Install kubectl or kustomize, or Go, with which this builds kustomize"
    _run([_need("go", advice), "install", KUSTOMIZE], f"kustomize can't be built. {advice}", {"GOBIN": str(target)})


def compose_schema() -> Any:
    """The Compose specification's own."""

    def fetch(target: Path) -> None:
        shutil.copy(_module(COMPOSE, target) / "schema" / "compose-spec.json", target / "schema.json")

    return json.loads((kept(COMPOSE, fetch) / "schema.json").read_text())


def custom_schemas() -> Schemas:
    """Of KEDA, the Prometheus operator and Strimzi, as an API server would have them."""

    def of_module(module: str, pattern: str) -> Callable[[Path], None]:
        def fetch(target: Path) -> None:
            _write(target, _module(module, target).glob(pattern))

        return fetch

    folders = [
        kept(KEDA, of_module(KEDA, "config/crd/bases/*.yaml")),
        kept(PROMETHEUS_OPERATOR, of_module(PROMETHEUS_OPERATOR, "example/prometheus-operator-crd/*monitors.yaml")),
        kept(f"strimzi-{_digest(POM)}", _generate_strimzi),
    ]
    found: Schemas = {}
    for folder in folders:
        found |= json.loads((folder / "schemas.json").read_text())
    return found


def _generate_strimzi(target: Path) -> None:
    jars, written = target / "jars", target / "definitions"
    written.mkdir()
    advice = "Install Maven (on Debian or Ubuntu: apt install maven)"
    fetch = [_need("mvn", advice), "-q", "-B", "--strict-checksums", "-f", str(POM), "dependency:copy-dependencies"]
    _run([*fetch, f"-DoutputDirectory={jars}"], "Strimzi's API can't be fetched")
    files = {kind: written / f"{kind}.yaml" for kind in STRIMZI.values()}
    wanted = [f"{name}={files[kind]}" for name, kind in STRIMZI.items()]
    generator = ["io.strimzi.crdgenerator.CrdGenerator", "--yaml", "--target-kube", "1.25+", "--crd-api-version", "v1"]
    _run([find_java(), "-cp", f"{jars}/*", *generator, *wanted], "Strimzi's definitions can't be written")
    _write(target, files.values())
    shutil.rmtree(jars)


def _write(target: Path, files: Any) -> None:
    schemas: Schemas = {}
    for file in files:
        (definition,) = yaml.load_all(file.read_text(), _Loader)
        group, kind = definition["spec"]["group"], definition["spec"]["names"]["kind"]
        for version in definition["spec"]["versions"]:
            if version.get("served", True):
                schemas[f"{group}/{version['name']} {kind}"] = version["schema"]["openAPIV3Schema"]
    (target / "schemas.json").write_text(json.dumps(schemas))


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made if it is not there, whole or not at all."""
    folder = cache_dir() / "deploy" / name.replace("/", "_")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with one_process_at_a_time(folder.parent / ".lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".incoming-") as incoming:
                made = Path(incoming) / "made"
                made.mkdir()
                make(made)
                shutil.rmtree(made / "modules", ignore_errors=True)
                made.rename(folder)
    return folder


def _module(module: str, target: Path) -> Path:
    """Where the files of a Go module lie. Nothing of it is built, and what it needs itself is not fetched."""
    go = _need("go", "Install Go 1.21 or newer (go.dev/dl)")
    own = {"GOMODCACHE": str(target / "modules"), "GOFLAGS": "-modcacherw"}
    told = _run([go, "mod", "download", "-json", module], f"{module} can't be fetched", own)
    return Path(json.loads(told)["Dir"])


def _need(program: str, advice: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise MissingToolError(f"{program} is not on the PATH. {advice}.")
    return found


def _run(command: Sequence[str], what: str, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | (environment or {}),
    )
    if done.returncode:
        raise MissingToolError(f"{what}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:8]
