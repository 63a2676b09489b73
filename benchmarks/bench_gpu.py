"""The same comparison at full size on an NVIDIA GPU, without a network: on random checkpoints that are made here.

They have the sizes and number types of the real files, about 32 GB, and are removed again. Besides what `make bench`
says: seconds of a sampler's step and of each stage, GPU memory of each stage, how long until the first picture, and how
far all that is from the floor: operations over the measured rate of matrix products, bytes over that of copies.

One side is in memory at a time. When `--minutes` are over, what is left is left out, and that is said. `--miniature`
does the same with small sizes, on whatever there is: it shows that this program works, and nothing else.
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import comfy_packages
import floor
import torch
from bench import SMALLEST, add_arguments, ended, settle, world_in
from comparison import Comparison, compare, say
from full_size import FULL, write_checkpoints
from machine import described
from new_pictures import NewPictures
from processes import end_in_order
from rates import Rates, measured
from scenarios import SCENARIOS, Size, make_round
from sides import of_the_user

from shared_utils.comfy.runtime import Comfy, start
from shared_utils.settings import Settings

OTHER_SECONDS = 15.0
"""What stopping the last side and printing takes at most."""


def sides_here(wanted: list[str]) -> list[str]:
    """Without the stock server, where what it needs can't be had."""
    if "comfyui" in wanted:
        try:
            comfy_packages.fetch()
        except RuntimeError as missing:
            say(f"{missing}\ncomfyui is left out. See benchmarks/README.md for machines without a network.")
            return [side for side in wanted if side != "comfyui"]
    return wanted


def floors(comfy: Comfy, given: argparse.Namespace, rates: Rates) -> dict[str, Any]:
    """Seconds, by stage and for one step of the sampler."""
    sizes = SMALLEST if given.miniature else FULL
    pixels = given.megapixels * 1024 * 1024
    stages = floor.try_on(comfy, sizes, pixels, given.steps)
    return {
        "stages": {stage: work.seconds(rates) for stage, work in stages.items()},
        "sampler step": floor.sampler_step(sizes, pixels).seconds(rates),
        "operations": {stage: work.operations for stage, work in stages.items()},
    }


def seconds_found(found: Comparison) -> dict[str, Any]:
    """Of each side that tells: of a step of the sampler, and of each stage."""
    shown: dict[str, Any] = {}
    for (_, _, side), cell in found.cells.items():
        told = [done for done in cell.alone if done.stages]
        if told:
            sampler = median(done.each_node_ms.get("KSampler", 0.0) for done in told)
            stages = {name: median(done.stages[name] for done in told) / 1000 for name in told[0].stages}
            shown[side] = {"KSampler": sampler / 1000, "stages": stages}
    return shown


def floor_table(shown: dict[str, Any], least: dict[str, Any], steps: int) -> str:
    """Seconds, and how many times the floor that is."""
    names = ["one step", *least["stages"]]
    lines = [f"{'seconds (times the floor)':<28}" + "".join(f"{name:>20}" for name in names)]
    lines.append(f"{'floor':<28}" + f"{least['sampler step']:>20.3f}" + _row(least["stages"].values()))
    for side, found in shown.items():
        step = found["KSampler"] / steps
        parts = [(step, least["sampler step"])]
        parts += [(found["stages"].get(stage, 0.0), floor_s) for stage, floor_s in least["stages"].items()]
        lines.append(f"{side:<28}" + "".join(f"{f'{took:.3f} ({took / of:.1f})':>20}" for took, of in parts))
    return "\n".join(lines)


def _row(values: Any) -> str:
    return "".join(f"{value:>20.3f}" for value in values)


def memory_lines(found: Comparison) -> list[str]:
    lines = []
    for side, held in found.gpu_mb.items():
        lines += [f"{side}, {share}: {megabytes:.0f} MB of GPU memory" for share, megabytes in held.items()]
    return lines


def ready_lines(found: Comparison) -> list[str]:
    return [
        f"{side}: {seconds:.1f} s until it takes requests, {found.opening_ms[side] / 1000:.1f} s for the first of them"
        for side, (seconds, *_) in found.start_seconds.items()
        if side in found.opening_ms
    ]


def main() -> int:
    began = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=["new people"], metavar="SCENARIO")
    parser.add_argument("--megapixels", type=float, default=1.0, help="(default: 1)")
    parser.add_argument("--tries", type=int, default=3, help="one by one (default: 3)")
    parser.add_argument("--queued", type=int, default=4, metavar="N", help="at once (default: 4)")
    parser.add_argument("--minutes", type=float, default=8.5, help="no side is begun that would take longer (8.5)")
    parser.add_argument("--folder", type=Path, help="on a disk with room for the checkpoints (default: the system's)")
    parser.add_argument("--miniature", action="store_true", help="small sizes, on whatever there is")
    parser.add_argument("--output", type=Path, default=Path("out/bench_gpu.json"), help="(default: %(default)s)")
    given = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not given.miniature:
        parser.error("there is no NVIDIA GPU that PyTorch can use; --miniature runs on anything")
    end_in_order()
    settle(given.plain)
    given.sides = sides_here(given.sides)
    machine = described()
    with tempfile.TemporaryDirectory(prefix="vtryon-bench-", dir=given.folder) as made:
        folder = Path(made)
        comfy = start(Settings(comfyui_device="cpu"))
        say("writing the checkpoints ...")
        written = time.perf_counter()
        size = write_checkpoints(comfy, folder / "models", SMALLEST if given.miniature else FULL, device)
        say(f"{size / 1e9:.2f} GB in {time.perf_counter() - written:.0f} s")
        rates = measured(device, 256 if device == "cpu" else 8192, 8 if device == "cpu" else 4096)
        least = floors(comfy, given, rates)
        torch.cuda.empty_cache()
        pictures = NewPictures(folder / "pictures")
        one_size = Size(given.megapixels, given.steps)
        rounds = [make_round(name, one_size, given.tries, given.queued, pictures) for name in given.scenarios]
        left = given.minutes * 60 - (time.perf_counter() - began) - OTHER_SECONDS
        found = compare(world_in(folder, folder / "models"), given.sides, [rounds], by_side=True, seconds=left)
    shown = seconds_found(found)
    told: dict[str, Any] = {"machine": machine, "settings": of_the_user(dict(os.environ))}
    told |= {"rates": asdict(rates), "floor, seconds": least, "found, seconds": shown, "gpu MB": found.gpu_mb}
    told |= {"checkpoints, bytes": size, "first request, ms": found.opening_ms}
    code = ended(found, given, told)
    print(f"\n{rates.operations / 1e12:.2f} T operations a second in matrix products, bf16; copies: ", end="")
    print(f"{rates.device_bytes / 1e9:.0f} GB a second on the device, {rates.upload_bytes / 1e9:.1f} to it")
    print("\n" + "\n".join([floor_table(shown, least, given.steps), "", *memory_lines(found), *ready_lines(found)]))
    print(f"\nIt took {time.perf_counter() - began:.0f} s.")
    if given.miniature:
        print("Miniatures: this shows that the benchmark runs, and says nothing of the real models.")
    return code


if __name__ == "__main__":
    sys.exit(main())
