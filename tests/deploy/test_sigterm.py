"""SIGTERM in mid-job: what a process was doing is finished or handed back, it ends with 0, in the manifests' time.

| Process | Finished | Handed back |
|---|---|---|
| worker of each stage, on Kafka | here, with the commands of the overlay cluster | kafka/test_worker_delivery.py |
| one-process worker, on Kafka | here, with the command of the overlay demo | kafka/test_worker_delivery.py |
| orchestrator | kafka/test_engine_delivery.py (engines that share) | here: the next one goes on with the try-on |
| gateway | here: event stream and upload under way | a call that it can't finish is broken off, none of it sent |
| service with --mode rest, --mode grpc | here | rest/test_host.py, grpc/test_server.py: told to stop in time |
| service with --mode files | transports/files/test_worker.py | the same |
| orchestrator with --mode files | tests/orchestrator/test_files.py | the same |

The grace period is that of the rendered manifest (`Started.wait_ended`): a shorter one there fails these tests. The
last four have none, as no manifest runs them.
"""

import json
import shutil
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator.steps import STEPS
from shared_utils.ports import LOOPBACK, free_port
from shared_utils.transports.grpc.client import StageClient
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.settings import KafkaSettings
from tests.deploy.containers import Container, Probe
from tests.deploy.starting import PATIENCE, House, Started, all_started, started
from tests.kafka.support import Eyes, Seen, empty, everything, fresh, say, until
from tests.orchestrator.gateway.drawn import picture
from text_encoder.models import TextEncoderRequest, TextEncoderResponse

TRYONS = "/v1/try-ons"


class Watched:
    """A Kafka with one try-on on it."""

    def __init__(self, house: House) -> None:
        self.settings = KafkaSettings(kafka_bootstrap_servers=house.bootstrap)
        self.eyes = Eyes(self.settings, topics.TRYON_PROGRESS, topics.TRYON_RESPONSES)
        self.name = fresh("tryon")
        pictures = {f"{each}_image_path": str(house.folder / "data" / f"{each}.png") for each in ("person", "garment")}
        request = {"correlation_id": self.name, "request_id": self.name, "seed": 7, "megapixels": 0.5} | pictures
        say(self.settings, topics.TRYON_REQUESTS, request)

    def wait_begun(self, step: str) -> None:
        """A worker has this step in hand."""

        def begun(each: Seen) -> bool:
            fields = {"step": step, "state": "started"}
            return (
                each.topic == topics.TRYON_PROGRESS and each.about(self.name) and fields.items() <= each.value.items()
            )

        self.eyes.wait(begun, patience=PATIENCE)

    def wait_answered(self) -> Any:
        def answered(each: Seen) -> bool:
            return each.topic == topics.TRYON_RESPONSES and each.about(self.name)

        return self.eyes.wait(answered, patience=PATIENCE)[0].value

    def answers(self, step: str) -> list[Seen]:
        return everything(self.settings, topics.response_topic(step), self.name)


@pytest.fixture
def watched(house: House, examples: Path) -> Iterator[Watched]:
    for name, file in {"person": "person_masked.png", "garment": "garment.png"}.items():
        shutil.copy(examples / file, house.folder / "data" / f"{name}.png")
    made = Watched(house)
    yield made
    made.eyes.close()


def _of(ours: list[Container], *wheres: str) -> list[Container]:
    by_where = {each.where: each for each in ours}
    return [by_where[where] for where in wheres]


def test_the_worker_of_each_stage_finishes_its_job(ours: list[Container], house: House, watched: Watched) -> None:
    """One try-on, and each worker is told to end as soon as it has begun with it."""
    stages = {step: f"cluster/{step.replace('_', '-')}" for step in topics.STAGES}
    with all_started(_of(ours, "cluster/orchestrator", *stages.values()), house, fresh("each")) as running:
        workers = dict(zip(stages, running[1:], strict=True))
        for step in ("text_encoder", "latent_encoder", "sampling", "decoding"):
            watched.wait_begun(step)
            told = time.time()
            workers[step].end()
            (answer,) = watched.answers(step)
            assert answer.value["status"] == "success"
            if step != "latent_encoder":  # which may have been done while the text encoder was waited for
                assert answer.record.timestamp()[1] / 1000 >= told, "it was not in mid-job"
        assert watched.wait_answered()["status"] == "success"
        assert running[0].end() >= 0
    assert [len(watched.answers(step)) for step in STEPS] == [1, 1, 1, 1]


def test_the_one_worker_finishes_and_the_next_orchestrator_goes_on(
    ours: list[Container], house: House, watched: Watched
) -> None:
    orchestrating, working = _of(ours, "demo/orchestrator", "demo/worker")
    with started(orchestrating, house, fresh("o")) as first, started(working, house, fresh("w")) as worker:
        watched.wait_begun("text_encoder")
        first.end()
        worker.end()
    assert [answer.value["status"] for answer in watched.answers("text_encoder")] == ["success"]
    assert watched.answers("sampling") == []
    with all_started([orchestrating, working], house, fresh("next")) as running:
        assert watched.wait_answered()["status"] == "success"
        for each in running:
            each.end()
    assert [len(watched.answers(step)) for step in STEPS] == [1, 1, 1, 1]


def test_the_gateway_ends_its_streams_and_takes_the_upload_under_way(ours: list[Container], house: House) -> None:
    (container,) = _of(ours, "demo/gateway")
    with started(container, house, fresh("gateway")) as gateway, ThreadPoolExecutor(1) as pool:
        gateway.wait_ready()
        with httpx.Client(base_url=gateway.url(8080, ""), timeout=60) as http:
            answer = http.post(TRYONS, files={"person": picture(), "garment": picture()})
            assert answer.status_code == 202, answer.text
            name = answer.json()["try_ons"][0]["id"]
            begun: Future[None] = Future()
            streaming = pool.submit(_stream, f"{gateway.url(8080, TRYONS)}/{name}/events", begun)
            begun.result(PATIENCE)
            upload = http.build_request("POST", TRYONS, files={"person": picture(), "garment": picture()})
            content = upload.read()
            with socket.create_connection((LOOPBACK, gateway.ports[8080])) as line:
                head = f"POST {TRYONS} HTTP/1.1\r\nHost: gateway\r\nContent-Type: {upload.headers['content-type']}\r\n"
                line.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content[:50])
                # Connections are taken one after the other: when this is answered, the other was taken.
                assert http.get("/health/live").status_code == 200
                before = time.monotonic()
                gateway.tell_to_end()
                until(lambda: "stopping" in gateway.said(), "it was told")
                line.sendall(content[50:])
                line.settimeout(60)
                answered = HTTPResponse(line)
                answered.begin()
                accepted = json.loads(answered.read())
            assert answered.status == 202, accepted
            streaming.result(PATIENCE)
        gateway.wait_ended(before)
    kafka = KafkaSettings(kafka_bootstrap_servers=house.bootstrap)
    sent = everything(kafka, topics.TRYON_REQUESTS, accepted["try_ons"][0]["id"])
    assert len(sent) == 1, "what was accepted is in Kafka"
    empty(kafka)  # or the next orchestrator that is started would have it done


def _stream(url: str, begun: "Future[None]") -> None:
    """Read events until the gateway ends the stream."""
    with httpx.stream("GET", url, timeout=60) as events:
        lines = events.iter_lines()
        next(lines)
        begun.set_result(None)
        for _ in lines:
            pass


@pytest.fixture
def service(ours: list[Container]) -> Container:
    """The text encoder, whose jobs take longest, to be reached in another way than the manifests say."""
    return _of(ours, "cluster/text-encoder")[0]


def _asked(house: House, examples: Path) -> dict[str, Any]:
    for file in ("person_masked.png", "garment.png"):
        shutil.copy(examples / file, house.folder / "data" / file)
    pictures = {
        "image1_path": str(house.folder / "data/person_masked.png"),
        "image2_path": str(house.folder / "data/garment.png"),
    }
    return pictures | {"request_id": fresh("r"), "encode_negative": False}


@pytest.mark.parametrize("mode", ["rest", "grpc"])
def test_a_service_answers_what_it_was_asked(service: Container, house: House, examples: Path, mode: str) -> None:
    port = free_port()
    metrics = f"http://{LOOPBACK}:{port}/metrics"
    own = {"HEALTH_PORT": "9090", "GRPC_PORT": str(free_port())} if mode == "grpc" else {"REST_PORT": str(port)}
    environment = {name: value for name, value in service.environment.items() if name != "HEALTH_PORT"} | own
    # A slow machine needs longer than the minute that there is by default.
    environment |= {f"{mode.upper()}_DRAIN_SECONDS": str(service.grace - 20)}
    probes = [Probe("readiness", 9090, "/health/ready")] if mode == "grpc" else []
    command = [*service.command[:-1], mode]
    container = replace(
        service, where=f"text-encoder --mode {mode}", command=command, environment=environment, probes=probes
    )
    with started(container, house, fresh(mode)) as running, ThreadPoolExecutor(1) as pool:
        if mode == "grpc":
            metrics = running.url(9090, "/metrics")
        until(lambda: _says(running, metrics, "vtryon_ready 1.0"), "it is ready", PATIENCE)
        ask = _over_grpc if mode == "grpc" else _over_rest
        answering = pool.submit(ask, int(own.get("GRPC_PORT", port)), _asked(house, examples))
        busy = 'vtryon_requests_in_progress{stage="text_encoder"} 1.0'
        until(lambda: _says(running, metrics, busy), "it has the job in hand", PATIENCE)
        before = time.monotonic()
        running.tell_to_end()
        assert not answering.done(), "it was not in mid-job"
        assert answering.result(PATIENCE) == "success"
        running.wait_ended(before)


def _says(running: Started, url: str, line: str) -> bool:
    assert running.process.poll() is None, running.said()
    try:
        return line in httpx.get(url, timeout=10).text
    except httpx.TransportError:
        return False


def _over_rest(port: int, fields: dict[str, Any]) -> str:
    answer = httpx.post(f"http://{LOOPBACK}:{port}/v1/encode", json=fields, timeout=PATIENCE)
    return str(answer.json().get("status", answer.text))


def _over_grpc(port: int, fields: dict[str, Any]) -> str:
    with StageClient(f"{LOOPBACK}:{port}", TextEncoderRequest, TextEncoderResponse) as client:
        return client.run(TextEncoderRequest(**fields), PATIENCE).status
