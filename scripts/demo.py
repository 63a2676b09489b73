"""One try-on, start to end, as in production: the orchestrator and the four services, each a process of its own, on
Kafka; only that the broker is librdkafka's in memory, and the models are miniatures.

Writes the picture to out/tryon.png, what the processes log to out/logs, and prints how long everything took. The
miniatures have random weights: this shows that everything runs, not what the real models paint.
"""

import argparse
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from tqdm import tqdm

from orchestrator.cli.drawing import watch
from orchestrator.cli.submit import complete, send_request, tell
from orchestrator.cli.tables import seconds, table
from orchestrator.cli.watching import Course, Listener
from orchestrator.config import Config
from orchestrator.models import TryOnFailure, TryOnSuccess
from shared_utils.errors import VtryonError
from shared_utils.telemetry.logs import start_logging
from shared_utils.transports.kafka.apache import DIE_WITH_PARENT
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.topics import STAGES

ROOT = Path(__file__).resolve().parent.parent
BROKER, ORCHESTRATOR = "kafka", "orchestrator"
COMMANDS = {
    BROKER: ["-m", "shared_utils.transports.kafka.embedded", "--until-stdin-closes"],
    **{stage: ["-m", stage, "--mode", "kafka"] for stage in STAGES},
    ORCHESTRATOR: ["-m", "orchestrator"],
}
READY = {BROKER: "127.0.0.1:", ORCHESTRATOR: " took up "} | dict.fromkeys(STAGES, " waits for requests on ")
"""What a process says when it can be used."""
# The broker in memory does not wake whoever waits for records, and knows the newer group protocol better.
KAFKA = {
    "KAFKA_SECURITY_PROTOCOL": "plaintext",
    "KAFKA_PROPERTIES": '{"fetch.wait.max.ms": 10}',
    "KAFKA_GROUP_PROTOCOL": "consumer",
    "KAFKA_VALUE_FORMAT": "json",
    "KAFKA_DRAIN_SECONDS": "0",
}
# However the demo ends, by SIGKILL too, Linux ends the others with it.
LEAVE_NOBODY = [sys.executable, "-c", DIE_WITH_PARENT, str(os.getpid())] if sys.platform == "linux" else []
START_SECONDS, END_SECONDS = 600, 20
LAST_LINES = 15


class DemoFailedError(Exception):
    """A process ended that should not, or did not begin."""


class Process:
    """One of the demo's processes. A thread writes what it says to its log, and tells when it is ready or has ended."""

    def __init__(self, name: str, log: Path, environment: dict[str, str], told: "queue.Queue[Process]") -> None:
        self.name = name
        self.ready_after: float | None = None
        self.ready_line = ""
        self.ended = False
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self._told = told
        self._started = time.monotonic()
        # In a session of its own: Ctrl-C is for the demo, which ends the others in order.
        self._process = subprocess.Popen(
            [*LEAVE_NOBODY, sys.executable, *COMMANDS[name]],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._listen, args=(log,), daemon=True)
        self._thread.start()

    def _listen(self, log: Path) -> None:
        with log.open("w", buffering=1) as written:
            for line in self._process.stdout or ():
                written.write(line)
                self.last.append(line)
                if self.ready_after is None and READY[self.name] in line:
                    self.ready_after, self.ready_line = time.monotonic() - self._started, line.strip()
                    self._told.put(self)
        self.ended = True
        self._told.put(self)

    def ask_to_end(self) -> None:
        self._process.terminate()

    def end(self) -> None:
        """Wait, but not for ever."""
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class Processes:
    """All of them; whatever happens, none is left when this is left."""

    def __init__(self, logs: Path, environment: dict[str, str]) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.running: dict[str, Process] = {}
        self.logs = logs
        self._environment = environment
        self._told: queue.Queue[Process] = queue.Queue()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *exception: object) -> None:
        # The broker last: the others say good-bye to it.
        others = [process for name, process in self.running.items() if name != BROKER]
        for together in (others, [process for process in self.running.values() if process not in others]):
            for process in together:
                process.ask_to_end()
            for process in together:
                process.end()

    def start(self, name: str, **environment: str) -> Process:
        log = self.logs / f"{name}.log"
        self.running[name] = Process(name, log, self._environment | environment, self._told)
        return self.running[name]

    def ready(self, *names: str) -> Iterator[Process]:
        """Each of these as soon as it is."""
        waited = set(names)
        deadline = time.monotonic() + START_SECONDS
        while waited:
            try:
                process = self._told.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise DemoFailedError(f"{', '.join(waited)} did not start in {START_SECONDS} seconds.") from None
            self.check()
            if process.name in waited:
                waited.remove(process.name)
                yield process

    def check(self) -> None:
        """Whether all of them are still there."""
        for process in self.running.values():
            if process.ended:
                said = "".join(process.last) or "It said nothing.\n"
                log = os.path.relpath(self.logs / f"{process.name}.log")
                raise DemoFailedError(f"{process.name} ended. The last lines of {log}:\n\n{said}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder to write to (default: out)")
    parser.add_argument("--megapixels", default="0.25", help="size of the picture (default: 0.25)")
    parser.add_argument("--seed", default="7", help="of the sampler (default: 7)")
    given = parser.parse_args()
    output = given.output.resolve()
    start_logging("WARNING", "text")
    signal.signal(signal.SIGTERM, _stop)
    began = time.monotonic()
    try:
        write_miniatures(output / "models")
        starts, answer, worked = run(output, given.megapixels, given.seed)
    except (DemoFailedError, VtryonError) as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    tell(answer)
    print(f"\n{table(['start of', ' seconds'], [[name, f'{taken:.1f}'] for name, taken in starts.items()])}")
    whole = time.monotonic() - began
    print(f"\nThe try-on took {seconds(worked)}; with the start and the end of all processes {seconds(whole)}.")
    if isinstance(answer, TryOnFailure):
        return 1
    print("It is coloured noise: the miniature models have random weights. They prove the plumbing, not the fashion.")
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def write_miniatures(models: Path) -> None:
    if any(models.glob("vae/*")):
        return
    print("writing miniature models ...", flush=True)
    command = [sys.executable, "-m", "orchestrator.cli.main", "models", "miniature", "--output", str(models)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def run(output: Path, megapixels: str, seed: str) -> tuple[dict[str, float], TryOnSuccess | TryOnFailure, float]:
    """Start all, have one picture made, end all."""
    folders = {
        "MODEL_DIR": str(output / "models"),
        "OUTPUT_DIR": str(output),
        "INTERMEDIATE_DIR": str(output / "intermediate"),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KAFKA_")}
    environment = kept | KAFKA | folders | {"LOG_LEVEL": "INFO", "LOG_FORMAT": "text", "PYTHONUNBUFFERED": "1"}
    with Processes(output / "logs", environment) as processes:
        starts = start_all(processes)
        address = processes.running[BROKER].ready_line
        config = Config.read(
            kafka_bootstrap_servers=address, kafka_properties={"fetch.wait.max.ms": 10}, kafka_value_format="json"
        )
        fields = {
            "person_image_path": ROOT / "examples" / "person_masked.png",
            "garment_image_path": ROOT / "examples" / "garment.png",
            "megapixels": megapixels,
            "seed": seed,
            "output_dir": output,
            "output_filename": "tryon.png",
        }
        request = complete({name: str(value) for name, value in fields.items()}, config)
        name, codec = str(request["correlation_id"]), JsonCodec()
        with Listener(config, codec, name) as listener:
            began = time.monotonic()
            send_request(config, codec, request)
            answer = watch(listener, Course(name), processes.check)
            worked = time.monotonic() - began
        print("ending all processes ...", file=sys.stderr, flush=True)
    return starts, answer, worked


def start_all(processes: Processes) -> dict[str, float]:
    """The broker first, then all others at once. How long each took."""
    processes.start(BROKER)
    (broker,) = processes.ready(BROKER)
    starts = {BROKER: broker.ready_after or 0.0}
    others = [name for name in COMMANDS if name != BROKER]
    print(f"starting five processes, which log to {os.path.relpath(processes.logs)} ...", file=sys.stderr, flush=True)
    for name in others:
        processes.start(name, KAFKA_BOOTSTRAP_SERVERS=broker.ready_line)
    form = "{desc:<48} |{bar:24}| {n_fmt}/{total_fmt}  {elapsed}"
    on_terminal = sys.stderr.isatty()
    with tqdm(total=len(others), desc="starting", bar_format=form, leave=False, disable=not on_terminal) as bar:
        for process in processes.ready(*others):
            starts[process.name] = process.ready_after or 0.0
            text = f"{process.name} is ready after {seconds(starts[process.name])}"
            if on_terminal:
                bar.set_description_str(text, refresh=False)
                bar.update()
            else:
                print(text, file=sys.stderr, flush=True)
    return starts


if __name__ == "__main__":
    sys.exit(main())
