"""The processes of a whole vtryon on this machine: the four services and the orchestrator, on librdkafka's broker in
memory. Started together, watched, and ended together, however the script that started them ends.
"""

import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from orchestrator.cli.tables import seconds
from shared_utils.children import ending_with_us
from shared_utils.comfy.miniature import has_trained, is_miniature
from shared_utils.contracts import VAE
from shared_utils.transports.kafka.topics import STAGES

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Part:
    """A process to be started, and what it says when it can be used."""

    name: str
    command: list[str]
    ready: str


BROKER = Part("kafka", ["-m", "shared_utils.transports.kafka.embedded", "--until-stdin-closes"], "127.0.0.1:")
ORCHESTRATOR = Part("orchestrator", ["-m", "orchestrator"], " took up ")
SERVICES = [Part(stage, ["-m", stage, "--mode", "kafka"], " waits for requests on ") for stage in STAGES]
"""Each stage a process of its own."""

# The broker in memory does not wake whoever waits for records, and knows the newer group protocol better.
KAFKA = {
    "KAFKA_SECURITY_PROTOCOL": "plaintext",
    "KAFKA_PROPERTIES": '{"fetch.wait.max.ms": 10}',
    "KAFKA_GROUP_PROTOCOL": "consumer",
    "KAFKA_VALUE_FORMAT": "json",
    "KAFKA_DRAIN_SECONDS": "0",
}
START_SECONDS, END_SECONDS = 600, 20
LAST_LINES = 15


class ProcessFailedError(Exception):
    """One ended that should not, or did not begin."""


class Process:
    """One of them. A thread writes what it says to its log, and tells when it is ready or has ended."""

    def __init__(self, part: Part, log: Path, environment: dict[str, str], told: "queue.Queue[Process]") -> None:
        self.name = part.name
        self.ready_after: float | None = None
        self.ready_line = ""
        self.ended = False
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self._told = told
        self._started = time.monotonic()
        # In a session of its own: Ctrl-C is for the script, which ends the others in order.
        self._process = subprocess.Popen(
            ending_with_us([sys.executable, *part.command]),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._listen, args=(part.ready, log), daemon=True)
        self._thread.start()

    def _listen(self, ready: str, log: Path) -> None:
        with log.open("w", buffering=1) as written:
            for line in self._process.stdout or ():
                written.write(line)
                self.last.append(line)
                if self.ready_after is None and ready in line:
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
        others = [process for name, process in self.running.items() if name != BROKER.name]
        for together in (others, [process for process in self.running.values() if process not in others]):
            for process in together:
                process.ask_to_end()
            for process in together:
                process.end()

    def start(self, part: Part, **environment: str) -> None:
        log = self.logs / f"{part.name}.log"
        self.running[part.name] = Process(part, log, self._environment | environment, self._told)

    def ready(self, *names: str) -> Iterator[Process]:
        """Each of these as soon as it is."""
        waited = set(names)
        deadline = time.monotonic() + START_SECONDS
        while waited:
            try:
                process = self._told.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise ProcessFailedError(f"{', '.join(waited)} did not start in {START_SECONDS} seconds.") from None
            self.check()
            if process.name in waited:
                waited.remove(process.name)
                yield process

    def wait(self) -> None:
        """Until one of them ends: then it is said which."""
        while True:
            self._told.get()
            self.check()

    def check(self) -> None:
        """Whether all of them are still there."""
        for process in self.running.values():
            if process.ended:
                said = "".join(process.last) or "It said nothing.\n"
                log = os.path.relpath(self.logs / f"{process.name}.log")
                raise ProcessFailedError(f"{process.name} ended. The last lines of {log}:\n\n{said}")


def environment_of(output: Path, **settings: str) -> dict[str, str]:
    """What the processes find in theirs: the user's, less what would lead them to another Kafka."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KAFKA_")}
    ours = {
        "OUTPUT_DIR": str(output),
        "INTERMEDIATE_DIR": str(output / "intermediate"),
        "LOG_LEVEL": "INFO",
        "LOG_FORMAT": "text",
        "PYTHONUNBUFFERED": "1",
    }
    return kept | KAFKA | ours | settings


def models_of(output: Path) -> dict[str, str]:
    """Settings: the folder that MODEL_DIR names, from where the caller stands; else miniatures below `output`."""
    named = os.environ.get("MODEL_DIR")
    return {"MODEL_DIR": str(Path(named).resolve())} if named else miniatures_in(output / "models")


def miniatures_in(models: Path) -> dict[str, str]:
    """Settings: the trained miniatures, written if need be, in the number type that they were trained in. ComfyUI takes
    it by itself on a CPU, but not on a GPU."""
    write_miniatures(models)
    return {"MODEL_DIR": str(models), "COMFYUI_DTYPE": os.environ.get("COMFYUI_DTYPE", "fp32")}


def write_miniatures(models: Path) -> None:
    """Over others of an older version, but not over what somebody put there."""
    vae = models / "vae" / VAE
    if has_trained(models) or (vae.exists() and not is_miniature(vae)):
        return
    print("writing miniature models ...", flush=True)
    command = [sys.executable, "-m", "orchestrator.cli.main", "models", "miniature", "--output", str(models)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def start_all(processes: Processes, parts: Sequence[Part]) -> dict[str, float]:
    """The broker first, then these at once. How long each took."""
    processes.start(BROKER)
    (broker,) = processes.ready(BROKER.name)
    starts = {BROKER.name: broker.ready_after or 0.0}
    print(
        f"starting {len(parts)} processes, which log to {os.path.relpath(processes.logs)} ...",
        file=sys.stderr,
        flush=True,
    )
    for part in parts:
        processes.start(part, KAFKA_BOOTSTRAP_SERVERS=broker.ready_line)
    form = "{desc:<48} |{bar:24}| {n_fmt}/{total_fmt}  {elapsed}"
    on_terminal = sys.stderr.isatty()
    with tqdm(total=len(parts), desc="starting", bar_format=form, leave=False, disable=not on_terminal) as bar:
        for process in processes.ready(*(part.name for part in parts)):
            starts[process.name] = process.ready_after or 0.0
            text = f"{process.name} is ready after {seconds(starts[process.name])}"
            if on_terminal:
                bar.set_description_str(text, refresh=False)
                bar.update()
            else:
                print(text, file=sys.stderr, flush=True)
    return starts
