"""How fast one gateway is, on Apache Kafka on this machine, with one orchestrator and stages that do nothing.

Submits and status reads a second; how long open event streams take to tell of what happens; the gateway's memory.
Everything shares this machine: Kafka, the orchestrator, the stages, the gateway, and whoever asks it.
"""

import argparse
import asyncio
import json
import logging
import random
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from itertools import repeat
from pathlib import Path
from typing import Any

import uvloop
from bench_kafka import Bench, fresh_kafka
from engine_memory import megabytes
from load import FailedError, Stream, Taken, ask_all, request
from processes import Child, all_stopped

from orchestrator.workflow import request_id
from shared_utils.contracts import Progress
from shared_utils.ports import free_port
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.client import make_producer
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.sending import Outgoing, produce

CONNECTIONS = 32
WARM_UP = 3000
"""Submits, and reads, that come first and are not counted: a JVM that has just started is several times slower."""
PATIENCE = 300.0
PICTURES = ("person.png", "garment.png")
PREVIEW = "x" * 4000
"""About as long as a real one; every fourth piece of news has one."""
OPENING = 64
"""Streams that are opened at once."""


def gateway_of(bench: Bench, port: int) -> Child:
    for name in PICTURES:
        (bench.folder / name).touch()
    return bench.child(
        "gateway",
        *("-m", "orchestrator", "--mode", "gateway"),
        GATEWAY_PORT=str(port),
        GATEWAY_GRPC_PORT="0",
        GATEWAY_MAX_WAITING="1000000",
        GATEWAY_UPLOAD_DIR=str(bench.folder / "uploads"),
        STORAGE_ROOTS=json.dumps([str(bench.folder)]),
    )


class Gateway:
    """The gateway as its callers see it."""

    def __init__(self, bench: Bench, port: int) -> None:
        self._bench = bench
        self._port = port
        person, garment = (str(bench.folder / name) for name in PICTURES)
        fields = {"person_image_path": person, "garment_image_path": garment, "seed": 7}
        self._submit = request("POST", "/v1/try-ons", json.dumps(fields).encode())

    async def ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                await ask_all(self._port, [request("GET", "/health/ready")], 1, 200, _nothing)
            except (OSError, FailedError):  # it does not listen yet, or still reads
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
            else:
                return

    async def submits(self, count: int) -> tuple[Taken, list[str]]:
        """How long they took, and their ids."""
        answers: list[bytes] = []
        taken = await ask_all(self._port, repeat(self._submit, count), CONNECTIONS, 202, answers.append)
        return taken, [json.loads(answer)["try_ons"][0]["id"] for answer in answers]

    async def reads(self, names: Sequence[str], count: int) -> Taken:
        asked = [request("GET", f"/v1/try-ons/{random.choice(names)}") for _ in range(count)]
        return await ask_all(self._port, asked, CONNECTIONS, 200, _nothing)

    async def all_ended(self) -> None:
        """Come back when nothing waits or runs any more."""
        deadline = time.monotonic() + PATIENCE
        for state in ("waiting", "running"):
            while await self._listed(state):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"there are {state} try-ons after {PATIENCE:g} s")
                await asyncio.sleep(0.2)

    async def _listed(self, state: str) -> list[Any]:
        answers: list[bytes] = []
        asked = request("GET", f"/v1/try-ons?state={state}&limit=1")
        await ask_all(self._port, [asked], 1, 200, answers.append)
        found: list[Any] = json.loads(answers[0])["try_ons"]
        return found

    async def _opened(self, name: str, on_event: Any) -> Stream:
        loop = asyncio.get_running_loop()
        path = f"/v1/try-ons/{name}/events"
        _, stream = await loop.create_connection(lambda: Stream(path, on_event), "127.0.0.1", self._port)
        await stream.begun
        return stream

    async def open_streams(self, names: Sequence[str], told: Taken) -> tuple[Taken, list[Stream]]:
        """One for each; `told` is how old news was when it came."""

        def note(kind: str, data: bytes) -> None:
            if kind == "progress":
                sent = datetime.fromisoformat(json.loads(data)["timestamp"]).timestamp()
                told.milliseconds.append(max(0.0, (time.time() - sent) * 1000))

        taken, streams, left = Taken(), [], iter(names)

        async def open_more() -> None:
            for name in left:
                begin = time.perf_counter()
                streams.append(await self._opened(name, note))
                taken.milliseconds.append((time.perf_counter() - begin) * 1000)

        begin = time.perf_counter()
        await asyncio.gather(*(open_more() for _ in range(OPENING)))
        taken.seconds = time.perf_counter() - begin
        return taken, streams

    async def tell_news(self, names: Sequence[str], count: int, per_second: float, told: Taken) -> None:
        """News of the try-ons in turn at a steady rate, as workers send it, until all of it has come."""
        producer = make_producer(self._bench.settings)

        def tell(number: int) -> None:
            produce(producer, _news(names[number % len(names)], number))
            producer.poll(0)

        tell(0)  # the first has to find its way
        await self._heard(told, 1)
        told.milliseconds.clear()
        begin = time.perf_counter()
        for number in range(count):
            while time.perf_counter() < begin + number / per_second:
                await asyncio.sleep(0.001)
            tell(number)
        await self._heard(told, count)
        told.seconds = time.perf_counter() - begin

    async def _heard(self, told: Taken, count: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while len(told.milliseconds) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(told.milliseconds)} of {count} pieces of news came within {PATIENCE:g} s")
            await asyncio.sleep(0.001)


def _nothing(body: bytes) -> None:
    """An answer that only has to come."""


def _news(name: str, number: int) -> Outgoing:
    news = Progress(
        correlation_id=name,
        request_id=request_id(name, "text_encoder", 1),
        step="text_encoder",
        state="running",
        node="CLIPLoader",
        done=number,
        total=0,
        preview=None if number % 4 else PREVIEW,
    )
    return Outgoing(topics.TRYON_PROGRESS, name, JsonCodec().encode(topics.TRYON_PROGRESS, news))


async def measure(bench: Bench, port: int, gateway: Child, stages: Child, given: argparse.Namespace) -> dict[str, Any]:
    asked = Gateway(bench, port)
    await asked.ready()
    empty = megabytes(gateway)
    stages.start()
    await asked.submits(WARM_UP)
    await asked.all_ended()
    submits, names = await asked.submits(given.submits)
    await asked.all_ended()
    await asked.reads(names, WARM_UP)
    reads = await asked.reads(names, given.reads)
    stages.kill()
    _, waiting = await asked.submits(given.streams)
    told = Taken()
    opened, streams = await asked.open_streams(waiting, told)
    await asked.tell_news(waiting, given.news, given.news_rate, told)
    full = megabytes(gateway)
    stages.start()
    await asyncio.wait_for(asyncio.gather(*(stream.ended for stream in streams)), PATIENCE)
    rows = {"submit": submits, "status read": reads, "open a stream": opened, "news to a stream": told}
    return {
        "rates": {
            name: {"per second": each.rate, "p50 ms": each.p50, "p99 ms": each.p99} for name, each in rows.items()
        },
        "streams": len(streams),
        "memory MB": {"empty": empty, f"with {len(names)} try-ons and {len(streams)} streams": full},
    }


def shown(found: dict[str, Any]) -> str:
    lines = [f"{'':<22}{'a second':>10}{'p50, ms':>10}{'p99, ms':>10}"]
    for name, (rate, p50, p99) in ((name, each.values()) for name, each in found["rates"].items()):
        lines.append(f"{name:<22}{rate:>10.0f}{p50:>10.1f}{p99:>10.1f}")
    lines += ["", *(f"{each:.0f} MB: the gateway's memory, {when}" for when, each in found["memory MB"].items())]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submits", type=int, default=10_000, help="(default: 10000)")
    parser.add_argument("--reads", type=int, default=50_000, help="(default: 50000)")
    parser.add_argument("--streams", type=int, default=1000, help="(default: 1000)")
    parser.add_argument("--news", type=int, default=10_000, help="told to all streams together (default: 10000)")
    parser.add_argument("--news-rate", type=float, default=500, metavar="N", help="a second (default: 500)")
    parser.add_argument("--output", type=Path, default=Path("out/bench_gateway.json"), help="(default: %(default)s)")
    given = parser.parse_args()
    logging.getLogger("vtryon").setLevel(logging.CRITICAL)
    with fresh_kafka() as bench:
        port = free_port()
        gateway, stages = gateway_of(bench, port), bench.child("stages", "benchmarks/nothing.py")
        orchestrator = bench.orchestrator(0, 2000)
        with all_stopped([gateway, orchestrator, stages]):
            gateway.start()
            orchestrator.start()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                found = runner.run(measure(bench, port, gateway, stages, given))
    print(shown(found))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
