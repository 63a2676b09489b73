"""Two try-ons of one person, start to end, as in production: the orchestrator and the four services, each a process of
its own, on Kafka; only that the broker is librdkafka's in memory, and the models are miniatures.

Writes the pictures to out/tryon.png and out/tryon_2.png, both beside what they were made of to out/tryon_sheet.png,
what the processes log to out/logs, and prints how long everything took. The miniatures are a toy that knows only its
own drawings: this shows that everything runs, not how the real models paint.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from contact_sheet import contact_sheet
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
from PIL import Image

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

EXAMPLES = ROOT / "examples"
PERSON, AREA = EXAMPLES / "person.png", EXAMPLES / "person_masked.png"
GARMENTS = {"tryon.png": EXAMPLES / "garment.png", "tryon_2.png": EXAMPLES / "garment_2.png"}
"""Each with the picture that is made of it."""
SHEET = "tryon_sheet.png"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder to write to (default: out)")
    parser.add_argument("--megapixels", default="0.25", help="size of the pictures (default: 0.25)")
    parser.add_argument("--seed", default="7", help="of the sampler (default: 7)")
    given = parser.parse_args()
    output = given.output.resolve()
    start_logging("WARNING", "text")
    signal.signal(signal.SIGTERM, _stop)
    began = time.monotonic()
    try:
        starts, answers, worked = run(output, given.megapixels, given.seed)
    except (ProcessFailedError, VtryonError) as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    for answer in answers:
        tell(answer)
    print(f"\n{table(['start of', ' seconds'], [[name, f'{taken:.1f}'] for name, taken in starts.items()])}")
    whole = time.monotonic() - began
    print(f"\nThe try-ons took {seconds(worked)}; with the start and the end of all processes {seconds(whole)}.")
    if any(result_of(answer).state != "succeeded" for answer in answers):
        return 1
    write_sheet(output)
    print(f"Look at both: {os.path.relpath(output / SHEET)}", TOY, DOWNLOAD, sep="\n")
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(output: Path, megapixels: str, seed: str) -> tuple[dict[str, float], list[Answer], float]:
    """Start all, have the pictures made one after the other, end all."""
    with Processes(output / "logs", environment_of(output, **miniatures_in(output / "models"))) as processes:
        starts = start_all(processes, [*SERVICES, ORCHESTRATOR])
        address = processes.running[BROKER.name].ready_line
        config = Config.read(
            kafka_bootstrap_servers=address, kafka_properties={"fetch.wait.max.ms": 10}, kafka_value_format="json"
        )
        began = time.monotonic()
        answers = []
        for name, garment in GARMENTS.items():
            print(f"trying on {os.path.relpath(garment)} ...", file=sys.stderr, flush=True)
            fields = {"megapixels": megapixels, "seed": seed, "output_dir": output, "output_filename": name}
            answers.append(try_on(processes, config, garment, fields))
        worked = time.monotonic() - began
        print("ending all processes ...", file=sys.stderr, flush=True)
    return starts, answers, worked


def try_on(processes: Processes, config: Config, garment: Path, fields: dict[str, object]) -> Answer:
    """Ask for one, and show how it goes until it has ended."""
    pictures = {"person_image_path": AREA, "garment_image_path": garment}
    request = complete({name: str(value) for name, value in {**pictures, **fields}.items()}, config)
    codec = JsonCodec()
    tryon = followed(request["correlation_id"], request["request_id"], garment)
    with Listener(config, codec, tryon.name) as listener:
        send_requests(config, codec, [request])
        watch([tryon], _while_all_run(hear(listener, [tryon]), processes))
    if tryon.answer is None:
        raise ProcessFailedError("The try-on was not watched to its end.")
    return tryon.answer


def _while_all_run(moments: Iterator[None], processes: Processes) -> Iterator[None]:
    for moment in moments:
        processes.check()
        yield moment


def write_sheet(output: Path) -> None:
    """A row for each: what went in, and what came out."""
    rows = []
    for name, garment in GARMENTS.items():
        files = {"person": PERSON, "area to dress": AREA, "garment": garment, "result": output / name}
        rows.append([(caption, Image.open(file)) for caption, file in files.items()])
    contact_sheet(rows).save(output / SHEET)


if __name__ == "__main__":
    sys.exit(main())
