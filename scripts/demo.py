"""One try-on, start to end: the four stages one after the other, each as a process of its own, on miniature models.

Writes the picture to out/tryon.png and prints how long everything took. The miniatures have random weights: this shows
that everything runs, not what the real models paint.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
REQUEST = "demo"


@dataclass
class Timing:
    """Seconds of a stage, and of each of its nodes."""

    stage: str
    seconds: float = 0.0
    nodes: dict[str, float] = field(default_factory=dict)


class StageFailedError(Exception):
    """A stage answered with an error, or did not answer."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder to write to (default: out)")
    parser.add_argument("--megapixels", default="0.25", help="size of the picture (default: 0.25)")
    parser.add_argument("--seed", default="7", help="of the sampler (default: 7)")
    given = parser.parse_args()
    output = given.output.resolve()
    models = output / "models"
    environment = os.environ | {"MODEL_DIR": str(models), "OUTPUT_DIR": str(output / "steps"), "LOG_FORMAT": "json"}

    if not any(models.glob("vae/*")):
        print("writing miniature models ...", flush=True)
        command = [sys.executable, "-m", "orchestrator.cli.main", "models", "miniature", "--output", str(models)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    print("running the four stages ...", flush=True)
    try:
        timings = run_stages(requests(output, given.megapixels, given.seed), environment)
    except StageFailedError as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1
    print_table(timings)
    print(f"\nThe picture: {os.path.relpath(output / 'tryon.png')}")
    print("It is coloured noise: the miniature models have random weights. They prove the plumbing, not the fashion.")
    return 0


def requests(output: Path, megapixels: str, seed: str) -> dict[str, dict[str, Any]]:
    """What each stage is asked, in the order of the workflow."""
    steps = output / "steps"
    person, garment = ROOT / "examples" / "person_masked.png", ROOT / "examples" / "garment.png"
    latent, positive, sampled = (steps / f"{name}_{REQUEST}.pt" for name in ("latent", "positive", "sampled_latent"))
    return {
        "latent_encoder": {"image_path": person, "megapixels": megapixels},
        # At cfg 1, the default, the negative encoding is not read.
        "text_encoder": {
            "image1_path": person,
            "image2_path": garment,
            "megapixels": megapixels,
            "encode_negative": "false",
        },
        "sampling": {"positive_encoding": positive, "latent_image": latent, "seed": seed},
        "decoding": {"latent_path": sampled, "output_dir": output, "output_filename": "tryon.png"},
    }


def run_stages(requests: Mapping[str, dict[str, Any]], environment: dict[str, str]) -> list[Timing]:
    timings = []
    with tqdm(requests.items(), bar_format="{desc:<44} {bar:24} {n_fmt}/{total_fmt} stages  {elapsed}") as bar:
        for stage, fields in bar:
            bar.set_description_str(f"{stage}: starting")
            timings.append(run_stage(stage, fields, environment, bar))
        bar.set_description_str("done")
    return timings


def run_stage(stage: str, fields: dict[str, Any], environment: dict[str, str], bar: Any) -> Timing:
    """The stage as a process; what it logs moves the bar and the clock."""
    flags = [f"--{name}={value}" for name, value in {**fields, "request_id": REQUEST}.items()]
    command = [sys.executable, "-m", stage, "--mode", "standalone", *flags]
    timing, started = Timing(stage), time.perf_counter()
    node, since = "", started
    with subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        said = []
        for line in process.stderr or ():
            said.append(line)
            logged = json.loads(line) if line.startswith("{") else {}
            if "node" not in logged and logged.get("message") != "finished":
                continue
            now = time.perf_counter()
            if node:
                timing.nodes[node] = timing.nodes.get(node, 0.0) + now - since
            node, since = logged.get("node", ""), now
            bar.set_description_str(f"{stage}: {logged['message']}")
        answer = process.stdout.read() if process.stdout else ""
    timing.seconds = time.perf_counter() - started
    if process.returncode != 0:
        raise StageFailedError(f"{stage} failed:\n{''.join(said[-20:])}{answer}")
    return timing


def print_table(timings: list[Timing]) -> None:
    print(f"\n{'stage':<16}{'node':<30}{'seconds':>8}")
    for timing in timings:
        rest = timing.seconds - sum(timing.nodes.values())
        print(f"{timing.stage:<46}{timing.seconds:>8.1f}")
        print(f"{'':<16}{'start of Python and ComfyUI':<30}{rest:>8.1f}")
        for node, seconds in timing.nodes.items():
            if seconds >= 0.05:
                print(f"{'':<16}{node:<30}{seconds:>8.1f}")
    print(f"{'all':<46}{sum(timing.seconds for timing in timings):>8.1f}")


if __name__ == "__main__":
    sys.exit(main())
