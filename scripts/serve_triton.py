"""The Triton server on this machine, until Ctrl-C: the whole try-on and each of its stages as Triton models.

Without MODEL_DIR the models are miniatures, a toy that knows only its own drawings; with it, they are the ones in that
folder. The model repository and what the server logs are in out/triton.
"""

import argparse
import io
import os
import signal
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import FrameType

from demo_processes import ROOT, models_of

from orchestrator.cli.main import main as vtryon
from shared_utils.transports.triton.server import TritonServer
from shared_utils.transports.triton.wheels import TritonServerError

LINES = """
Triton is ready: HTTP at {http}, gRPC at {grpc}, metrics at {metrics}. Ctrl-C ends it. To try it:

  .venv/bin/vtryon submit --triton {grpc} --person examples/person_masked.png --garment examples/garment.png \\
    --megapixels 0.25 --output out
  curl http://{http}/v2/models/vtryon_pipeline/config
  curl http://{metrics}/metrics
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder to write to (default: out)")
    parser.add_argument("--layout", choices=["together", "apart"], default="together", help="(default: %(default)s)")
    parser.add_argument("--http-port", type=int, default=8000, help="(default: 8000)")
    parser.add_argument("--grpc-port", type=int, default=8001, help="(default: 8001)")
    parser.add_argument("--metrics-port", type=int, default=8002, help="(default: 8002)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    try:
        return serve(given)
    except TritonServerError as failed:
        print(f"\n{failed.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def serve(given: argparse.Namespace) -> int:
    """Start it, and stay until it ends or somebody says so."""
    output = given.output.resolve()
    models = models_of(output)
    repository = output / "triton" / given.layout
    with redirect_stdout(io.StringIO()):  # it says how to serve what is served here already
        code = vtryon(["triton", "build", "--output", str(repository), "--layout", given.layout])
    if code:
        return code
    server = TritonServer(
        repository,
        output / "triton" / "server",
        http_port=given.http_port,
        grpc_port=given.grpc_port,
        metrics_port=given.metrics_port,
        environment=os.environ | models,
        cwd=ROOT,
        dies_with_parent=True,
    )
    print(f"starting the Triton server, which logs to {os.path.relpath(server.log)} ...", file=sys.stderr, flush=True)
    with server:
        print(LINES.format(http=server.http, grpc=server.grpc, metrics=server.metrics), flush=True)
        code = server.wait()
    print(f"The Triton server ended with {code}. Its log: {os.path.relpath(server.log)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
