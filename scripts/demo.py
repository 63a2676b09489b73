"""One try-on, start to end: the four stages one after the other, each as a process of its own, on miniature models.

Writes the picture to out/tryon.png and prints how long each stage took. The miniatures have random weights: this shows
that everything runs, not what the real models paint.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
REQUEST = "demo"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder to write to (default: out)")
    parser.add_argument("--megapixels", default="0.25", help="size of the picture (default: 0.25)")
    parser.add_argument("--seed", default="7", help="of the sampler (default: 7)")
    given = parser.parse_args()
    output = given.output.resolve()
    models = output / "models"
    environment = os.environ | {"MODEL_DIR": str(models), "OUTPUT_DIR": str(output / "steps"), "LOG_LEVEL": "WARNING"}

    if not any(models.glob("vae/*")):
        print("writing miniature models ...", flush=True)
        call(
            [sys.executable, "-m", "orchestrator.cli.main", "models", "miniature", "--output", str(models)], environment
        )
    try:
        timings = run_stages(output, given.megapixels, given.seed, environment)
    except subprocess.CalledProcessError as failed:
        print(f"\n{failed.cmd[2]} failed:\n{failed.stdout}{failed.stderr}", file=sys.stderr)
        return 1
    print_table(timings)
    print(f"\nThe picture: {os.path.relpath(output / 'tryon.png')}")
    print("It is coloured noise: the miniature models have random weights. They prove the plumbing, not the fashion.")
    return 0


def run_stages(output: Path, megapixels: str, seed: str, environment: dict[str, str]) -> list[tuple[str, float, float]]:
    """Each stage's name, seconds in all, and seconds of its own work."""
    steps = output / "steps"
    person, garment = ROOT / "examples" / "person_masked.png", ROOT / "examples" / "garment.png"
    stages: dict[str, dict[str, Any]] = {
        "latent_encoder": {"image_path": person, "megapixels": megapixels},
        "text_encoder": {
            "image1_path": person,
            "image2_path": garment,
            "megapixels": megapixels,
            "encode_negative": "false",
        },
        "sampling": {
            "positive_encoding": steps / f"positive_{REQUEST}.pt",
            "latent_image": steps / f"latent_{REQUEST}.pt",
            "seed": seed,
        },
        "decoding": {
            "latent_path": steps / f"sampled_latent_{REQUEST}.pt",
            "output_dir": output,
            "output_filename": "tryon.png",
        },
    }
    timings = []
    with tqdm(stages.items(), bar_format="{desc:<16} {bar:30} {n_fmt}/{total_fmt} stages  {elapsed}") as bar:
        for name, fields in bar:
            bar.set_description_str(name)
            flags = [f"--{field}={value}" for field, value in {**fields, "request_id": REQUEST}.items()]
            started = time.perf_counter()
            answer = json.loads(call([sys.executable, "-m", name, "--mode", "standalone", *flags], environment))
            timings.append((name, time.perf_counter() - started, answer["metadata"]["processing_time_ms"] / 1000))
    return timings


def call(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def print_table(timings: list[tuple[str, float, float]]) -> None:
    print(f"\n{'stage':<16}{'seconds':>9}{'of which work':>15}")
    for name, total, work in timings:
        print(f"{name:<16}{total:>9.1f}{work:>15.1f}")
    print(f"{'all':<16}{sum(row[1] for row in timings):>9.1f}{sum(row[2] for row in timings):>15.1f}")
    print("The rest of each stage is the start of Python, PyTorch and ComfyUI, once for each process.")


if __name__ == "__main__":
    sys.exit(main())
