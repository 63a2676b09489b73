"""One try-on, start to end, as in production: the orchestrator and the four services, each a process of its own, on
Kafka; only that the broker is librdkafka's in memory, and the models are miniatures.

Writes the picture to out/tryon.png, what the processes log to out/logs, and prints how long everything took. The
miniatures are a toy that knows only its own drawings: this shows that everything runs, not how the real models paint.
"""

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from demo_processes import (
    BROKER,
    ORCHESTRATOR,
    ROOT,
    SERVICES,
    Processes,
    ProcessFailedError,
    environment_of,
    miniatures_in,
    start_all,
)

from orchestrator.cli.drawing import watch
from orchestrator.cli.followed import Answer, followed
from orchestrator.cli.over_kafka import complete, hear, send_requests
from orchestrator.cli.results import result_of, tell
from orchestrator.cli.tables import seconds, table
from orchestrator.config import Config
from orchestrator.listening import Listener
from shared_utils.comfy.miniature import DOWNLOAD, TOY
from shared_utils.errors import VtryonError
from shared_utils.telemetry.logs import start_logging
from shared_utils.transports.kafka.messages import JsonCodec

GARMENT = ROOT / "examples" / "garment.png"


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
        starts, answer, worked = run(output, given.megapixels, given.seed)
    except (ProcessFailedError, VtryonError) as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    tell(answer)
    print(f"\n{table(['start of', ' seconds'], [[name, f'{taken:.1f}'] for name, taken in starts.items()])}")
    whole = time.monotonic() - began
    print(f"\nThe try-on took {seconds(worked)}; with the start and the end of all processes {seconds(whole)}.")
    if result_of(answer).state != "succeeded":
        return 1
    print(TOY, DOWNLOAD, sep="\n")
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(output: Path, megapixels: str, seed: str) -> tuple[dict[str, float], Answer, float]:
    """Start all, have one picture made, end all."""
    with Processes(output / "logs", environment_of(output, **miniatures_in(output / "models"))) as processes:
        starts = start_all(processes, [*SERVICES, ORCHESTRATOR])
        address = processes.running[BROKER.name].ready_line
        config = Config.read(
            kafka_bootstrap_servers=address, kafka_properties={"fetch.wait.max.ms": 10}, kafka_value_format="json"
        )
        fields = {
            "person_image_path": ROOT / "examples" / "person_masked.png",
            "garment_image_path": GARMENT,
            "megapixels": megapixels,
            "seed": seed,
            "output_dir": output,
            "output_filename": "tryon.png",
        }
        request = complete({name: str(value) for name, value in fields.items()}, config)
        codec = JsonCodec()
        tryon = followed(request["correlation_id"], request["request_id"], GARMENT)
        with Listener(config, codec, tryon.name) as listener:
            began = time.monotonic()
            send_requests(config, codec, [request])
            watch([tryon], _while_all_run(hear(listener, [tryon]), processes))
            worked = time.monotonic() - began
        print("ending all processes ...", file=sys.stderr, flush=True)
    if tryon.answer is None:
        raise ProcessFailedError("The try-on was not watched to its end.")
    return starts, tryon.answer, worked


def _while_all_run(moments: Iterator[None], processes: Processes) -> Iterator[None]:
    for moment in moments:
        processes.check()
        yield moment


if __name__ == "__main__":
    sys.exit(main())
