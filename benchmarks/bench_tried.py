"""What could make a try-on faster, but changes its bits or was not built: how much it would bring on this machine, and
how far the picture would be from the one as it is.

First the whole workflow in one process under other settings, then parts of it: the sampler alone, batched and compiled,
the VAE on another thread, and what it costs to hand tensors over in files. All of a group are up at once, asked in turn
and one at a time. At the end the floor: how long the operations of the sampler and of the VAE would take at the rate
that this machine shows in matrix products; on a CPU alone, and on miniature models, whose sizes are known.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import floor
import numpy as np
import torch
from bench import ALLOCATOR, SMALLEST, models_in, settle, world_in
from comparison import say
from kept import Kept
from machine import described
from new_pictures import GARMENT, PERSON
from PIL import Image
from processes import ROOT, end_in_order, environment, python
from rates import measured
from scenarios import Asked
from sides import World, monolith

from shared_utils.comfy.miniature import Sizes
from shared_utils.comfy.runtime import start
from shared_utils.settings import Settings

AS_IT_IS = "as make sets it"
WHOLE: dict[str, dict[str, str]] = {
    AS_IT_IS: {},
    "glibc's allocator as it is": dict.fromkeys(ALLOCATOR, ""),
    "COMFYUI_ATTENTION=auto": {"COMFYUI_ATTENTION": "auto"},
    "COMFYUI_ATTENTION=split": {"COMFYUI_ATTENTION": "split"},
    "COMFYUI_ATTENTION=quad": {"COMFYUI_ATTENTION": "quad"},
    "COMFYUI_DTYPE=bf16": {"COMFYUI_DTYPE": "bf16"},
}
"""Settings for the whole workflow; an empty value takes one away."""
PARTS = {
    "sampler, each picture": ("alone", "batch 2", "batch 4", "compiled"),
    "VAE decode": ("decode", "elsewhere"),
}
"""In each the first is what vtryon does."""


def of_variant(world: World, number: int, settings: dict[str, str]) -> World:
    user = {name: value for name, value in {**world.user, **settings}.items() if value}
    return replace(world, folder=world.folder / f"variant-{number}", user=user)


def whole(world: World, given: argparse.Namespace) -> list[dict[str, Any]]:
    """One try-on under each setting, in turn."""
    milliseconds: dict[str, list[float]] = {name: [] for name in WHOLE}
    pictures: dict[str, np.ndarray[Any, Any]] = {}
    numbers = count(1)
    with ExitStack() as stack:
        sides = {
            name: stack.enter_context(monolith(of_variant(world, number, settings)))
            for number, (name, settings) in enumerate(WHOLE.items())
        }
        for turn in range(given.passes + 1):
            for name in sides if turn % 2 else reversed(sides):
                asked = Asked(next(numbers), PERSON, GARMENT, 7, given.megapixels, given.steps)
                done = sides[name].do([asked])
                if turn:  # in the first, models are loaded
                    milliseconds[name].append(done.wall_ms)
                with Image.open(done.pictures[asked.number]) as opened:
                    pictures[name] = np.asarray(opened.convert("RGB"), dtype=np.float64)
            say(f"settings: {turn} of {given.passes}")
    first = median(milliseconds[AS_IT_IS])
    return [
        {
            "what": name,
            "ms": median(found),
            "ratio": first / median(found),
            "dB": decibels(pictures[name], pictures[AS_IT_IS]),
        }
        for name, found in milliseconds.items()
    ]


def decibels(picture: np.ndarray[Any, Any], reference: np.ndarray[Any, Any]) -> float | None:
    """How near one picture is to the other; None if they are the same."""
    error = float(np.mean((picture - reference) ** 2))
    return 10 * math.log10(255**2 / error) if error else None


@contextmanager
def kept_parts(world: World, given: argparse.Namespace) -> Iterator[Kept]:
    """It starts from what the monolith has made."""
    folder = world.of("parts")
    own = environment("", folder, **world.settings("parts")) | {"PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}"}
    pictures = ("--person", str(PERSON), "--garment", str(GARMENT), "--megapixels", str(given.megapixels))
    arguments = (*pictures, "--steps", "1", "--output", str(folder))
    made = subprocess.run(
        python(str(ROOT / "scripts" / "monolith.py"), *arguments),
        env=own,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise RuntimeError(f"scripts/monolith.py failed: {made.stderr[-2000:]}")
    program = str(ROOT / "benchmarks" / "kept_parts.py")
    with Kept(python(program, str(folder), str(given.steps)), own, folder / "parts.log") as kept:
        yield kept


def parts(world: World, given: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Each part in each way, and the files in each folder."""
    ways = {part: [way for way in some if not (given.no_compile and way == "compiled")] for part, some in PARTS.items()}
    with ExitStack() as stack:
        folders = {"the temporary folder": str(world.of("files"))}
        if given.memory:
            folders[given.memory] = stack.enter_context(tempfile.TemporaryDirectory(dir=given.memory))
        asked = [*(way for some in ways.values() for way in some), *(f"files {folder}" for folder in folders.values())]
        answers: dict[str, list[dict[str, Any]]] = {each: [] for each in asked}
        kept = stack.enter_context(kept_parts(world, given))
        for turn in range(given.passes + 1):
            for each in asked:
                answers[each].append(kept.ask(each))
            say(f"parts: {turn} of {given.passes}")
    found = {part: [_row(way, answers[way], answers[some[0]]) for way in some] for part, some in ways.items()}
    found["files"] = [
        {"what": what} | {name: median(answer[name] for answer in answers[f"files {folder}"][1:]) for name in HANDED}
        for what, folder in folders.items()
    ]
    return found


def floors(found: dict[str, list[dict[str, Any]]], given: argparse.Namespace) -> list[dict[str, Any]]:
    """What vtryon's way took, and what it would take at best."""
    rates = measured("cpu", PRODUCTS, COPIES_MB, dtype=torch.float32)
    comfy = start(Settings(comfyui_device="cpu"))
    sizes = SMALLEST if given.smallest else Sizes()
    least = floor.try_on(comfy, sizes, given.megapixels * 1024 * 1024, given.steps)
    took = {"sampling": "sampler, each picture", "decoding": "VAE decode"}
    return [
        {
            "what": part,
            "ms": found[part][0]["ms"],
            "floor ms": least[stage].seconds(rates) * 1000,
            "G operations": least[stage].operations / 1e9,
            "G a second at best": rates.operations / 1e9,
        }
        for stage, part in took.items()
    ]


def _row(way: str, answers: list[dict[str, Any]], reference: list[dict[str, Any]]) -> dict[str, Any]:
    """The first answer has in it what is done once."""
    usual, own = (median(answer["ms"] for answer in each[1:]) for each in (reference, answers))
    off = max(answer["off"] for answer in answers)
    return {"what": way, "first ms": answers[0]["ms"], "ms": own, "ratio": usual / own, "off": off}


PRODUCTS, COPIES_MB = 2048, 256
"""Sides of the matrices, and size of the blocks, that the machine's rates are taken with."""
HANDED = ("write ms", "read ms", "MB")


def table(found: dict[str, list[dict[str, Any]]], given: argparse.Namespace) -> str:
    lines = [f"{f'one try-on, {given.megapixels:g} megapixels':<34}{'s':>8}{'times':>8}   picture"]
    for row in found["settings"]:
        picture = "the same pixels" if row["dB"] is None else f"{row['dB']:.1f} dB from it"
        lines.append(f"{row['what']:<34}{row['ms'] / 1000:>8.2f}{row['ratio']:>8.2f}   {picture}")
    for part in PARTS:
        lines += ["", f"{part:<34}{'s':>8}{'times':>8}{'first, s':>10}   result"]
        for row in found[part]:
            result = "the same bits" if row["off"] == 0 else f"up to {row['off']:.2g} off"
            times = f"{row['ms'] / 1000:>8.2f}{row['ratio']:>8.2f}{row['first ms'] / 1000:>10.2f}"
            lines.append(f"{row['what']:<34}{times}   {result}")
    lines.append("")
    for row in found.get("floor", []):
        times = f"{row['ms'] / row['floor ms']:.1f} times the {row['floor ms'] / 1000:.2f} s"
        rate = f"{row['G operations']:.0f} G operations at {row['G a second at best']:.0f} G a second"
        lines.append(f"{row['what']}: {times} that {rate} take")
    lines += ["", f"{'what the stages hand over':<34}{'MB':>8}{'write, ms':>11}{'read, ms':>10}"]
    lines += [
        f"{row['what']:<34}{row['MB']:>8.1f}{row['write ms']:>11.1f}{row['read ms']:>10.1f}" for row in found["files"]
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=0.25, help="(default: %(default)g)")
    parser.add_argument("--steps", type=int, default=4, help="of the sampler (default: %(default)s)")
    parser.add_argument("--passes", type=int, default=3, help="that are counted (default: %(default)s)")
    parser.add_argument("--no-compile", action="store_true", help="leave out what needs a C++ compiler")
    parser.add_argument(
        "--memory",
        default="/dev/shm",  # noqa: S108  a folder of its own is made in it
        metavar="DIR",
        help="a folder in memory; '' for none (default: %(default)s)",
    )
    parser.add_argument("--smallest", action="store_true", help="models smaller than the miniatures, as the tests have")
    parser.add_argument("--output", type=Path, default=Path("out/bench_tried.json"), help="(default: %(default)s)")
    given = parser.parse_args()
    end_in_order()
    settle(plain=False)
    machine = described()
    with tempfile.TemporaryDirectory(prefix="vtryon-bench-") as made:
        folder = Path(made)
        world = world_in(folder, models_in(folder, given.smallest))
        found = {"settings": whole(world, given), **parts(world, given)}
        if world.models.is_relative_to(folder) and not torch.accelerator.is_available():
            found["floor"] = floors(found, given)
    print(table(found, given))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(
        json.dumps({"machine": machine, "settings": world.user, **found}, indent=2) + "\n", encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
