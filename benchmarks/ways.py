"""The ways that a try-on can go, for bench_triton.py: each is started, asked for try-ons, weighed and stopped."""

import io
import json
import os
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench_kafka import ANSWER_SECONDS, Bench, reader_of
from processes import Child

from orchestrator.cli.main import main as vtryon
from shared_utils.settings import cache_dir
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.client import make_producer
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.reading import next_batch
from shared_utils.transports.kafka.sending import Outgoing, produce
from shared_utils.transports.kafka.topics import STAGES
from shared_utils.transports.triton.client import TritonClient
from shared_utils.transports.triton.server import TritonServer
from shared_utils.transports.triton.wire import Value, field_value

SECONDS = 600.0
"""For a try-on, and for a worker to be ready."""
OF_THE_USER = ("COMFYUI_", "MALLOC_", "EXTRA_MODEL_PATHS", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")
"""What the ways find in their environment besides what they are given."""


@dataclass(frozen=True)
class Job:
    """What is asked for."""

    person: Path
    garment: Path
    megapixels: float
    steps: int
    models: Path

    def fields(self, seed: int) -> dict[str, float | int]:
        return {"megapixels": self.megapixels, "steps": self.steps, "seed": seed}


@dataclass(frozen=True)
class Memory:
    """Megabytes of all processes of a way together."""

    rss: float
    pss: float
    """What several share is counted once."""
    processes: int


@dataclass
class Taken:
    """How long try-ons took that were asked for at once, and each of their steps, in milliseconds."""

    wall: float
    steps: list[dict[str, int]] = field(default_factory=list)


class Way(Protocol):
    def ask(self, count: int) -> Taken:
        """So many try-ons at once."""

    def memory(self) -> Memory:
        """Of the processes that do the steps."""


class Ensemble:
    """Callers of vtryon_pipeline, which send pictures and get one back."""

    def __init__(self, server: TritonServer, job: Job) -> None:
        self._server, self._job, self._seeds = server, job, seeds()
        self._client = TritonClient(server.grpc)
        self._pictures = {name: Value.data(getattr(job, name).read_bytes()) for name in ("person", "garment")}

    def ask(self, count: int) -> Taken:
        inputs = [self._inputs(next(self._seeds)) for _ in range(count)]
        begin = time.perf_counter()
        calls = [self._client.begin("vtryon_pipeline", each, ["image", *STAGES], timeout=SECONDS) for each in inputs]
        answers = [call.result() for call in calls]
        taken = Taken((time.perf_counter() - begin) * 1000)
        for answer in answers:
            told = {stage: json.loads(answer[stage].texts()[0]) for stage in STAGES}
            taken.steps.append({stage: response["metadata"]["processing_time_ms"] for stage, response in told.items()})
        return taken

    def _inputs(self, seed: int) -> dict[str, Value]:
        kinds = {"megapixels": "FP64", "steps": "INT64", "seed": "UINT64"}
        fields = {name: field_value(kinds[name], value) for name, value in self._job.fields(seed).items()}
        # As the orchestrator does at cfg 1: nobody would read it.
        return {**self._pictures, **fields, "encode_negative": Value.of("BOOL", False)}

    def memory(self) -> Memory:
        return weighed(of_group(self._server.pid))


class Workers:
    """Callers of an orchestrator on Kafka. The pictures lie in files."""

    def __init__(self, bench: Bench, job: Job, workers: Sequence[Child], server: TritonServer | None) -> None:
        self._job, self._workers, self._server, self._seeds = job, workers, server, seeds()
        self._producer = make_producer(bench.settings)
        self._reader = reader_of(bench.settings, topics.TRYON_RESPONSES)

    def ask(self, count: int) -> Taken:
        names = {f"bench-{uuid.uuid4().hex}" for _ in range(count)}
        begin = time.perf_counter()
        for name in names:
            produce(self._producer, self._request(name, next(self._seeds)))
        self._producer.poll(0)
        taken = Taken(0)
        while names:
            for record in next_batch(self._reader, count, ANSWER_SECONDS):
                answer = {} if record.error() else json.loads(record.value() or b"{}")
                if answer.get("correlation_id") in names:
                    names.discard(answer["correlation_id"])
                    taken.steps.append(_steps_of(answer))
            if time.perf_counter() - begin > SECONDS:
                raise TimeoutError(f"{len(names)} of {count} try-ons were not answered within {SECONDS:g} s")
        taken.wall = (time.perf_counter() - begin) * 1000
        return taken

    def _request(self, name: str, seed: int) -> Outgoing:
        pictures = {"person_image_path": str(self._job.person), "garment_image_path": str(self._job.garment)}
        fields = {"correlation_id": name, **pictures, **self._job.fields(seed)}
        return Outgoing(topics.TRYON_REQUESTS, name, JsonCodec().encode(topics.TRYON_REQUESTS, fields))

    def memory(self) -> Memory:
        server = of_group(self._server.pid) if self._server else []
        return weighed([*(worker.pid for worker in self._workers), *server])


def _steps_of(answer: dict[str, object]) -> dict[str, int]:
    timings = answer.get("timings")
    if answer.get("status") != "success" or not isinstance(timings, list):
        raise RuntimeError(f"a try-on failed: {answer.get('error_code')}: {answer.get('error_message')}")
    return {timing["step"]: timing["processing_time_ms"] for timing in timings}


def seeds() -> Iterator[int]:
    yield from range(1, 1 << 32)


# ---- starting them


@contextmanager
def serving(bench: Bench, job: Job, layout: str, *arguments: str) -> Iterator[TritonServer]:
    repository = bench.folder / f"repository-{layout}"
    with redirect_stdout(io.StringIO()):
        code = vtryon(["triton", "build", "--output", str(repository), "--layout", layout])
    if code:
        raise RuntimeError("the model repository could not be written")
    settings = {**_settings(job), "PATH": os.environ["PATH"]}
    data = bench.folder / f"triton-{layout}"
    server = TritonServer(repository, data, environment=settings, arguments=arguments, dies_with_parent=True)
    with server:
        yield server


@contextmanager
def working(bench: Bench, job: Job, shares: Sequence[str], **settings: str) -> Iterator[list[Child]]:
    """Workers that are ready: one for each share of the stages."""
    logs = {f"worker-{share}-{uuid.uuid4().hex[:4]}": share for share in shares}
    given = {**_settings(job), "LOG_LEVEL": "INFO", **settings}
    children = [
        bench.child(log, "-m", "shared_utils.worker", "--stages", share, **given) for log, share in logs.items()
    ]
    with ExitStack() as stack:
        for child in children:
            stack.callback(child.stop)
            child.start()
        for log, share in logs.items():
            wait_for_words(bench.folder / f"{log}.log", " waits for requests on ", share.count(",") + 1)
        yield children


def _settings(job: Job) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(OF_THE_USER)}
    return {**kept, "MODEL_DIR": str(job.models), "VTRYON_CACHE": str(cache_dir())}


def wait_for_words(log: Path, words: str, times: int) -> None:
    deadline = time.monotonic() + SECONDS
    while log.read_text(errors="replace").count(words) < times:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not ready within {SECONDS:g} s:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)


# ---- weighing them


def of_group(group: int) -> list[int]:
    """The processes that the server started, and itself."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) == group:
                found.append(int(folder.name))
        except ProcessLookupError:
            continue
    return found


def weighed(processes: Sequence[int]) -> Memory:
    rolls = "\n".join(Path(f"/proc/{process}/smaps_rollup").read_text() for process in processes)
    return Memory(_megabytes("Rss", rolls), _megabytes("Pss", rolls), len(processes))


def _megabytes(kind: str, rolls: str) -> float:
    return sum(map(int, re.findall(rf"^{kind}:\s+(\d+)", rolls, re.MULTILINE))) / 1024
