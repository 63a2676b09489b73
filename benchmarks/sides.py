"""The sides of the comparison. Each is started, asked for try-ons, and stopped; all get the same.

comfyui    ComfyUI's stock server, asked over its own HTTP
monolith   scripts/monolith.py in one process that keeps the models
together   vtryon on the broker in memory: an orchestrator, and one worker with all stages
apart      the same with four workers of one stage each
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bench_kafka import Bench, reader_of
from comfy_server import ComfyServer
from embedded import SETTINGS, embedded_kafka
from footprint import tree
from kept import Kept
from node_seconds import gpu_mb, in_a_row, metrics_port, seconds_of, since
from processes import ROOT, Child, all_stopped, environment, python
from scenarios import Asked
from ways import OF_THE_USER, Job, working
from workflow import api_prompt

from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.client import make_producer
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.reading import next_batch
from shared_utils.transports.kafka.sending import Outgoing, produce
from shared_utils.transports.kafka.topics import STAGES

SECONDS = 3600.0
"""For all try-ons that were asked for at once."""


@dataclass(frozen=True)
class World:
    """What all sides have in common."""

    folder: Path
    models: Path
    tree: Path
    """ComfyUI's."""
    server_flags: list[str]
    user: dict[str, str]
    """The settings for the allocator and for ComfyUI that every side is started with."""

    def of(self, name: str) -> Path:
        """A side's own folder, cache included: no side finds what another has done."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def settings(self, name: str) -> dict[str, str]:
        own = {"MODEL_DIR": str(self.models), "COMFYUI_PATH": str(self.tree)}
        return {**self.user, **own, "VTRYON_CACHE": str(self.of(name) / "cache"), "PYTHONUNBUFFERED": "1"}


@dataclass
class Done:
    """Try-ons that were asked for at once."""

    wall_ms: float
    pictures: dict[int, Path] = field(default_factory=dict)
    nodes_ms: float | None = None
    """How long ComfyUI's nodes ran, of what one try-on waits for. Known of one alone only."""
    stages: dict[str, float] = field(default_factory=dict)
    """Milliseconds in each stage, as its answer says; of one alone."""
    each_node_ms: dict[str, float] = field(default_factory=dict)
    """The same of each kind of node. Those that two stages run have the time of one of them."""


class Side(Protocol):
    def do(self, asked: Sequence[Asked]) -> Done:
        """All at once, from the first word to the last answer."""

    def parts(self) -> dict[str, list[int]]:
        """The processes that work for it, by what they do."""

    def gpu_mb(self) -> dict[str, float]:
        """GPU memory that its processes hold, by what they do, as far as they tell."""


class Stock:
    """ComfyUI's server. Pictures are in its folder before the clock runs, as they are on the others' storage."""

    def __init__(self, server: ComfyServer) -> None:
        self._server = server

    def do(self, asked: Sequence[Asked]) -> Done:
        prompts = [self._prompt(each) for each in asked]
        begin = time.perf_counter()
        numbers = {self._server.submit(prompt): each.number for prompt, each in zip(prompts, asked, strict=True)}
        open_ones = set(numbers)
        for prompt in self._server.finished():
            open_ones.discard(prompt)
            if not open_ones:
                break
        wall = (time.perf_counter() - begin) * 1000
        finished = {number: self._server.result(prompt) for prompt, number in numbers.items()}
        alone = next(iter(finished.values())).executing_ms if len(finished) == 1 else None
        return Done(wall, {number: each.picture for number, each in finished.items()}, alone)

    def _prompt(self, asked: Asked) -> dict[str, Any]:
        person, garment = (self._server.take_in(picture) for picture in (asked.person, asked.garment))
        return api_prompt(person, garment, asked.seed, asked.megapixels, asked.steps)

    def parts(self) -> dict[str, list[int]]:
        return {"server": tree([self._server.child.pid])}

    def gpu_mb(self) -> dict[str, float]:
        return self._server.gpu_mb()


class Monolith:
    """One job after the other."""

    def __init__(self, kept: Kept, folder: Path) -> None:
        self._kept, self._folder = kept, folder

    def do(self, asked: Sequence[Asked]) -> Done:
        begin = time.perf_counter()
        answers = {each.number: self._done(each) for each in asked}
        wall = (time.perf_counter() - begin) * 1000
        alone = float(next(iter(answers.values()))["ms"]) if len(answers) == 1 else None
        return Done(wall, {number: Path(answer["image"]) for number, answer in answers.items()}, alone)

    def _done(self, asked: Asked) -> dict[str, Any]:
        told = {"person": str(asked.person), "garment": str(asked.garment), "seed": asked.seed, "steps": asked.steps}
        told |= {"megapixels": asked.megapixels, "output": str(self._folder / str(asked.number))}
        return self._kept.ask(json.dumps(told))

    def parts(self) -> dict[str, list[int]]:
        return {"monolith": tree([self._kept.pid])}

    def gpu_mb(self) -> dict[str, float]:
        return {}


class Pipeline:
    """vtryon, asked over Kafka by file."""

    def __init__(self, bench: Bench, children: Sequence[Child], workers: Sequence[Child], apart: bool) -> None:
        self._children, self._apart = children, apart
        logs = {worker.name: bench.folder / f"{worker.name}.log" for worker in workers}
        self._ports = {name.split("-")[1]: metrics_port(log) for name, log in logs.items()}
        self._producer = make_producer(bench.settings)
        self._reader = reader_of(bench.settings, topics.TRYON_RESPONSES)

    def do(self, asked: Sequence[Asked]) -> Done:
        requests = {f"bench-{uuid.uuid4().hex}": each for each in asked}
        before = seconds_of(self._ports.values())
        begin = time.perf_counter()
        for name, each in requests.items():
            produce(self._producer, _request(name, each))
        self._producer.poll(0)
        answers = self._answers(set(requests), begin)
        done = Done((time.perf_counter() - begin) * 1000)
        done.pictures = {requests[name].number: Path(answer["image_path"]) for name, answer in answers.items()}
        if len(asked) == 1:
            ran = since(before, seconds_of(self._ports.values()))
            in_nodes = in_a_row(ran, self._apart)
            done.nodes_ms = None if in_nodes is None else in_nodes * 1000
            done.each_node_ms = {node: seconds * 1000 for (_, node), seconds in ran.items()}
            (answer,) = answers.values()
            done.stages = {timing["step"]: timing["processing_time_ms"] for timing in answer["timings"]}
        return done

    def _answers(self, names: set[str], begin: float) -> dict[str, dict[str, Any]]:
        answers: dict[str, dict[str, Any]] = {}
        while len(answers) < len(names):
            for record in next_batch(self._reader, 100, 1.0):
                answer = {} if record.error() else json.loads(record.value() or b"{}")
                if answer.get("correlation_id") not in names:
                    continue
                if answer["status"] != "success":
                    raise RuntimeError(f"a try-on failed: {answer['error_code']}: {answer['error_message']}")
                answers[answer["correlation_id"]] = answer
            if ended := [child.name for child in self._children if child.ended() is not None]:
                raise RuntimeError(f"{', '.join(ended)} ended by itself")
            if time.perf_counter() - begin > SECONDS:
                raise TimeoutError(f"{len(names) - len(answers)} try-ons were not answered within {SECONDS:g} s")
        return answers

    def close(self) -> None:
        """Before the broker ends: clients that are left would go on looking for it."""
        self._reader.close()
        self._producer.close()

    def parts(self) -> dict[str, list[int]]:
        kinds: dict[str, list[int]] = {}
        for child in self._children:
            kinds.setdefault(child.name.split("-")[0], []).extend(tree([child.pid]))
        return kinds

    def gpu_mb(self) -> dict[str, float]:
        held = {share: gpu_mb(port) for share, port in self._ports.items()}
        return {share: megabytes for share, megabytes in held.items() if megabytes is not None}


def _request(name: str, asked: Asked) -> Outgoing:
    pictures = {"person_image_path": str(asked.person), "garment_image_path": str(asked.garment)}
    numbers = {"megapixels": asked.megapixels, "steps": asked.steps, "seed": asked.seed}
    fields = {"correlation_id": name, **pictures, **numbers}
    return Outgoing(topics.TRYON_REQUESTS, name, JsonCodec().encode(topics.TRYON_REQUESTS, fields))


def processes_of(side: Side) -> list[int]:
    return [process for part in side.parts().values() for process in part]


# ---- starting them


@contextmanager
def stock(world: World) -> Iterator[Side]:
    folder = world.of("comfyui")
    own = environment("", folder, **world.settings("comfyui"))
    server = ComfyServer(folder, world.tree, world.models, world.server_flags, own)
    try:
        server.start()
        yield Stock(server)
    finally:
        server.stop()


@contextmanager
def monolith(world: World) -> Iterator[Side]:
    folder = world.of("monolith")
    own = environment("", folder, **world.settings("monolith")) | {"PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}"}
    with Kept(python(str(ROOT / "benchmarks" / "kept_monolith.py")), own, folder / "monolith.log") as kept:
        yield Monolith(kept, folder)


@contextmanager
def _vtryon(world: World, name: str, shares: Sequence[str]) -> Iterator[Side]:
    folder = world.of(name)
    given = {**world.settings(name), **SETTINGS, "HEALTH_PORT": "0"}
    job = Job(folder, folder, 0, 0, world.models)  # of which only the models are looked at
    with embedded_kafka(folder) as (bench, broker):
        orchestrator = bench.child("orchestrator", "-m", "orchestrator", MAX_IN_FLIGHT="100", **SETTINGS)
        with all_stopped([orchestrator]):
            orchestrator.start()
            with working(bench, job, shares, **given) as workers:
                pipeline = Pipeline(bench, [broker, orchestrator, *workers], workers, apart=len(shares) > 1)
                with closing(pipeline):
                    yield pipeline


def together(world: World) -> AbstractContextManager[Side]:
    return _vtryon(world, "together", [",".join(STAGES)])


def apart(world: World) -> AbstractContextManager[Side]:
    return _vtryon(world, "apart", STAGES)


SIDES: dict[str, Callable[[World], AbstractContextManager[Side]]] = {
    "comfyui": stock,
    "monolith": monolith,
    "together": together,
    "apart": apart,
}


def of_the_user(environ: dict[str, str]) -> dict[str, str]:
    """The settings that reach every side."""
    return {name: value for name, value in environ.items() if name.startswith(OF_THE_USER)}
