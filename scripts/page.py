"""The web page on this machine, until Ctrl-C: a broker in memory, one worker with all four stages, and the orchestrator
with the gateway beside it.

Without MODEL_DIR the models are miniatures, a toy that knows only its own drawings; with it, they are the ones in that
folder. What the processes log is in out/logs, uploads and pictures are in out.
"""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from demo_processes import Part, Processes, ProcessFailedError, environment_of, models_of, start_all

from shared_utils.transports.kafka.topics import STAGES

WORKER = Part("worker", ["-m", "shared_utils.worker", "--stages", ",".join(STAGES)], f"{STAGES[-1]}-group")
GATEWAY = Part("gateway", ["-m", "orchestrator", "--mode", "both"], "http://")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder to write to (default: out)")
    parser.add_argument("--port", default="8080", help="of the page (default: 8080)")
    given = parser.parse_args()
    output = given.output.resolve()
    signal.signal(signal.SIGTERM, _stop)
    try:
        serve(output, given.port)
    except ProcessFailedError as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def serve(output: Path, port: str) -> None:
    """Start all, and stay until one of them ends or somebody says so."""
    environment = environment_of(
        output,
        **models_of(output),
        GATEWAY_UPLOAD_DIR=str(output / "uploads"),
        GATEWAY_PORT=port,
    )
    with Processes(output / "logs", environment) as processes:
        start_all(processes, [WORKER, GATEWAY])
        print(f"\nThe page: http://127.0.0.1:{port}\nCtrl-C ends it.", flush=True)
        processes.wait()


if __name__ == "__main__":
    sys.exit(main())
