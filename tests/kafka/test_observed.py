"""A gateway, an orchestrator and two workers, each a process, looked at as those who run them do: their health from
before Kafka is there to the end, their metrics, and one trace for each try-on."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from math import inf
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.client import Client
from shared_utils.contracts import UNET
from shared_utils.ports import LOOPBACK, free_port
from shared_utils.telemetry.traces import continued
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.settings import KafkaSettings
from tests.kafka.support import PATIENCE, ROOT, Process, Puppet, environment, fresh, puppets, until, wait_topics
from tests.shared_utils.telemetry.collector import Collector, Span, collecting

pytestmark = pytest.mark.kafka

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
WORKERS = {"encoders": "latent_encoder,text_encoder", "makers": "sampling,decoding"}
GATEWAY, ENGINE = "gateway", "engine"
PARTITIONS = 2


class Seen:
    """A process with health and metrics."""

    def __init__(self, name: str, command: tuple[str, ...], settings: dict[str, Any], folder: Path) -> None:
        self.port = free_port()
        own = {"gateway_port": self.port, "gateway_grpc_port": 0} if name == GATEWAY else {"health_port": self.port}
        # Lines of a log for machines, so that one can tell whose each is.
        given = settings | own | {"kafka_instance_id": name, "log_format": "json"}
        self.log = folder / f"{name}.log"
        self._given = command, environment(given), folder
        self.start()

    def start(self) -> None:
        command, variables, _ = self._given
        self.process = Process(*command, env=variables, log=self.log)

    def get(self, path: str) -> httpx.Response | None:
        try:
            return httpx.get(f"http://{LOOPBACK}:{self.port}{path}", timeout=PATIENCE)
        except httpx.TransportError:
            return None

    def says(self, path: str, status: int) -> None:
        """In the end."""

        def said() -> bool:
            answer = self.get(path)
            return answer is not None and answer.status_code == status

        until(said, f"{self.log.name}: {status} of {path}: {self.log.read_text()[-3000:]}")

    def value(self, name: str, **labels: str) -> float | None:
        """Of a metric now; all that have these labels together. None if there is none."""
        answer = self.get("/metrics")
        assert answer is not None
        found = [
            sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else None

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


class Town:
    """All of them, and the puppets' strings."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.collector: Collector = stack.enter_context(collecting())
        self.stages: dict[str, Puppet] = dict(puppets(folder))
        self._stack = stack
        self._kafka = ApacheKafka(folder / "kafka", dies_with_parent=True)
        with self._kafka:  # has its topics, and is away again
            settings_of_kafka = KafkaSettings(kafka_bootstrap_servers=self._kafka.bootstrap)
            wait_topics(settings_of_kafka, *topics.create(settings_of_kafka, partitions=PARTITIONS))
        settings = {
            "kafka_bootstrap_servers": self._kafka.bootstrap,
            "kafka_group_protocol": "classic",
            "kafka_retry_backoff_seconds": 0.05,
            "intermediate_dir": folder / "intermediate",
            "output_dir": folder / "output",
            "gateway_upload_dir": folder / "uploads",
            "otel_exporter_otlp_endpoint": self.collector.url,
        }
        script, main = str(Path(__file__).with_name("stage_process.py")), str(ROOT / "orchestrator" / "main.py")
        commands: dict[str, tuple[str, ...]] = {name: (script, stages, str(folder)) for name, stages in WORKERS.items()}
        commands |= {ENGINE: (main,), GATEWAY: (main, "--mode", "gateway")}
        self.seen = {name: Seen(name, command, settings, folder) for name, command in commands.items()}
        for each in self.seen.values():
            stack.callback(each.process.__exit__)
        self.pictures = folder / "person.png", folder / "garment.png"
        for file in self.pictures:
            Image.new("RGB", (32, 32), "green").save(file)

    def start_kafka(self) -> None:
        self._stack.enter_context(self._kafka)

    def submit(self, trace: str | None = None) -> str:
        headers = {} if trace is None else {"traceparent": f"00-{trace}-{CALLER}-01"}
        with Client(f"http://{LOOPBACK}:{self.seen[GATEWAY].port}") as client, continued(headers):
            (made,) = client.submit(self.pictures[0], [self.pictures[1]], megapixels=0.25)
        return made.id

    def wait(self, name: str, state: str) -> None:
        with Client(f"http://{LOOPBACK}:{self.seen[GATEWAY].port}") as client:
            until(lambda: client.get(name).state == state, f"{name} {state}: {client.get(name)}")

    def spans(self, name: str, count: int) -> list[Span]:
        """Of one try-on: those of its trace, once there are so many."""

        def found() -> list[Span]:
            spans = self.collector.spans
            own = {span.trace for span in spans if span.attributes.get("correlation_id") == name}
            return [span for span in spans if span.trace in own]

        until(lambda: len(found()) >= count, f"{count} spans: {[span.name for span in found()]}")
        return found()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Started before there is a Kafka: that is what the first look is for."""
    with ExitStack() as stack:
        made = Town(tmp_path_factory.mktemp("town"), stack)
        for each in made.seen.values():
            each.says("/health/live", 200)
            each.says("/health/ready", 503)
            assert each.value("vtryon_ready") == 0
        made.start_kafka()
        for each in made.seen.values():
            each.says("/health/ready", 200)
            assert each.value("vtryon_ready") == 1
        yield made


def test_one_trace_from_the_caller_to_the_last_node(town: Town) -> None:
    town.stages["sampling"].fail(1, "passing")
    name = town.submit(TRACE)
    town.wait(name, "succeeded")
    # The call, the try-on, four steps of which one was tried twice, and a node in each.
    spans = town.spans(name, 12)
    assert {span.trace for span in spans} == {TRACE}
    assert sorted(span.name for span in spans) == sorted(
        ["submit", "try-on", "latent_encoder", "text_encoder", "sampling", "sampling", "decoding", *["Puppet"] * 5]
    )
    (call,) = (span for span in spans if span.name == "submit")
    (tryon,) = (span for span in spans if span.name == "try-on")
    assert (call.parent, call.service) == (CALLER, "vtryon-gateway")
    assert (tryon.parent, tryon.service) == (call.id, "vtryon-orchestrator")
    assert tryon.attributes["outcome"] == "succeeded"
    steps = [span for span in spans if "stage" in span.attributes]
    assert {(span.parent, span.service, span.attributes["correlation_id"]) for span in steps} == {
        (tryon.id, "vtryon-worker", name)
    }
    attempts = [(s.attributes["attempt"], s.attributes["outcome"], s.failure) for s in steps if s.name == "sampling"]
    assert sorted(attempts) == [(1, "OUT_OF_MEMORY", "OUT_OF_MEMORY"), (2, "success", "")]
    nodes = [span for span in spans if span.name == "Puppet"]
    assert {span.parent for span in nodes} == {span.id for span in steps}
    assert all(0 <= span.seconds <= tryon.seconds for span in nodes)


def test_what_was_done_is_counted(town: Town) -> None:
    before = {name: _counted(seen) for name, seen in town.seen.items()}
    town.stages["sampling"].fail(1, "passing")
    town.wait(town.submit(), "succeeded")
    town.stages["decoding"].fail(1, "lasting")
    town.wait(town.submit(), "failed")
    after = {name: _counted(seen) for name, seen in town.seen.items()}

    def by(name: str, key: str) -> float:
        return after[name].get(key, 0) - before[name].get(key, 0)

    assert by("encoders", "vtryon_requests_total success text_encoder") == 2
    assert by("makers", "vtryon_requests_total success decoding") == 1
    assert by("makers", "vtryon_requests_total PUPPET_BROKEN decoding") == 1
    assert by("makers", "vtryon_attempts_total OUT_OF_MEMORY sampling") == 1
    assert by("makers", "vtryon_attempts_total success sampling") == 2
    assert by("makers", "vtryon_retries_total sampling") == 1
    assert by("makers", "vtryon_dead_letters_total PUPPET_BROKEN decoding-requests-dlq") == 1
    assert by("makers", "vtryon_node_seconds_count Puppet sampling") == 3
    assert by("makers", f"vtryon_step_seconds_count {UNET} sampling") == 2
    assert by(ENGINE, "vtryon_tryons_taken_total") == 2
    assert by(ENGINE, "vtryon_tryons_ended_total  succeeded") == 1
    assert by(ENGINE, "vtryon_tryons_ended_total PUPPET_BROKEN failed") == 1
    assert by(ENGINE, "vtryon_step_requests_total first sampling") == 2
    assert by(ENGINE, "vtryon_tryon_seconds_count failed") == 1
    assert by(ENGINE, "vtryon_dead_letters_total PUPPET_BROKEN tryon-requests-dlq") == 1
    assert by(GATEWAY, "vtryon_gateway_requests_total POST /v1/try-ons 202") == 2


def test_a_restarted_orchestrator_keeps_the_trace(town: Town) -> None:
    stage, engine = town.stages["sampling"], town.seen[ENGINE]
    stage.hold()
    name = town.submit()
    until(lambda: engine.value("vtryon_steps_in_flight", stage="sampling") == 1, "sampling is asked")
    assert engine.value("vtryon_tryons_running") == 1
    makers = town.seen["makers"]
    until(lambda: makers.value("vtryon_requests_in_progress", stage="sampling") == 1, "a job is in hand")
    engine.process.send(signal.SIGKILL)
    engine.process.ended()
    engine.start()
    engine.says("/health/ready", 200)
    # It is ready once its partitions are given, and has taken up what runs there by the first look after that.
    until(lambda: engine.value("vtryon_tryons_running") == 1, "it has taken up what was running")
    stage.go()
    town.wait(name, "succeeded")
    spans = town.spans(name, 10)
    assert len({span.trace for span in spans}) == 1
    (tryon,) = (span for span in spans if span.name == "try-on")
    assert {span.parent for span in spans if "stage" in span.attributes} == {tryon.id}
    until(lambda: engine.value("vtryon_steps_in_flight") == 0, "nothing is under way")


def test_lag_comes_and_goes(town: Town) -> None:
    """All of it, the markers of transactions too: whoever scales by it comes back to zero."""
    stage, makers = town.stages["sampling"], town.seen["makers"]
    stage.hold()
    names = [town.submit() for _ in range(5)]
    until(lambda: len(names) <= _lag(makers, "sampling-requests") < inf, "it grows")
    stage.go()
    for name in names:
        town.wait(name, "succeeded")
    until(lambda: _lag(makers, "sampling-requests") == 0, "it goes")
    # What asks for try-ons is in no transaction.
    until(lambda: _lag(town.seen[ENGINE], "tryon-requests") == 0, "it goes")


def test_every_line_of_a_job_has_its_ids(town: Town) -> None:
    name = town.submit(fresh("").strip("-").ljust(32, "0"))
    town.wait(name, "succeeded")
    for process, message in (("encoders", "started"), ("makers", "finished"), (ENGINE, f"try-on {name} succeeded")):
        found = [line for line in town.seen[process].lines() if line.get("correlation_id") == name]
        assert [line for line in found if line["message"] == message and len(line["trace_id"]) == 32]
        (_,) = {line["trace_id"] for line in found if "trace_id" in line}
    assert any(line.get("correlation_id") == name for line in town.seen[GATEWAY].lines())


def test_who_is_about_to_end_is_live_and_not_ready(town: Town) -> None:
    makers, stage = town.seen["makers"], town.stages["decoding"]
    stage.hold()
    name = town.submit()
    until(lambda: makers.value("vtryon_requests_in_progress", stage="decoding") == 1, "a job is in hand")
    makers.process.send(signal.SIGTERM)
    makers.says("/health/ready", 503)
    makers.says("/health/live", 200)
    stage.go()
    assert makers.process.ended() == 0
    town.wait(name, "succeeded")
    town.spans(name, 10)
    for seen in (town.seen["encoders"], town.seen[ENGINE], town.seen[GATEWAY]):
        seen.process.send(signal.SIGTERM)
        assert seen.process.ended() == 0, seen.log.read_text()[-3000:]


def _lag(seen: Seen, topic: str) -> float:
    """Endless as long as nobody has told it."""
    found = seen.value("vtryon_consumer_lag", topic=topic)
    return inf if found is None else found


def _counted(seen: Seen) -> dict[str, float]:
    """Every counter, by its name and its labels' values."""
    answer = seen.get("/metrics")
    assert answer is not None
    return {
        " ".join([sample.name, *(sample.labels[name] for name in sorted(sample.labels))]): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name.startswith("vtryon_") and sample.name.endswith(("_total", "_count"))
    }
