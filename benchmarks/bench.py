"""vtryon against ComfyUI's stock server on this machine: the same workflow, models, pictures and settings for all.

  comfyui    ComfyUI's own server of the same tree, asked by its /prompt
  monolith   scripts/monolith.py, its models kept: what all pictures are held against
  together   vtryon: an orchestrator and one worker with all stages, on the broker in memory
  apart      vtryon with four workers of one stage each

Scenarios: new people, each with the same garment; many garments on one person; all new; another seed of the same.
In each, some try-ons are asked for one by one (their median), then several at once (try-ons a minute). All sides get
the same try-ons in turn; one side is up at a time, unless with --all-up. The exit code is 1 if a picture differs
between sides by one pixel.
"""

import argparse
import io
import json
import os
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from comparison import Comparison, compare, say
from machine import described
from new_pictures import NewPictures
from processes import end_in_order
from report import rest_line, rows, stages_table, table
from scenarios import SCENARIOS, Round, Size, make_round
from sides import SIDES, World, of_the_user

from shared_utils.comfy.miniature import Sizes, write_miniatures
from shared_utils.comfy.provision import find_tree
from shared_utils.comfy.runtime import start
from shared_utils.settings import Settings

ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "9000000000"}
ATTENTION = {"COMFYUI_ATTENTION": "pytorch"}
SMALLEST = Sizes(layers=1, text_layers=1, vae_width=2)


def settle(plain: bool) -> None:
    """The allocator and the attention that all sides get, unless the environment says otherwise; plain: what they have
    out of the box."""
    for name, value in (ALLOCATOR | ATTENTION).items():
        if plain:
            os.environ.pop(name, None)
        else:
            os.environ.setdefault(name, value)


def server_flags(settings: Settings) -> list[str]:
    """ComfyUI's own words for what the others are told by their environment."""
    import torch  # noqa: PLC0415  it takes seconds, which --help need not

    flags = [] if torch.accelerator.is_available() and settings.comfyui_device != "cpu" else ["--cpu"]
    if settings.comfyui_attention != "auto":
        kind = settings.comfyui_attention
        flags.append(f"--use-{kind}{'-cross' if kind in ('pytorch', 'split', 'quad') else ''}-attention")
    return flags


def world_in(folder: Path, models: Path) -> World:
    settings = Settings.read()
    return World(folder, models, find_tree(settings), server_flags(settings), of_the_user(dict(os.environ)))


def make_passes(given: argparse.Namespace, folder: Path) -> list[list[Round]]:
    pictures = NewPictures(folder)
    sizes = [Size(megapixels, given.steps) for megapixels in given.megapixels]
    counts = {name: given.garments if name == "garments" else given.queued for name in given.scenarios}
    return [
        [make_round(name, size, given.tries, count, pictures) for size in sizes for name, count in counts.items()]
        for _ in range(given.passes)
    ]


def ended(found: Comparison, given: argparse.Namespace, more: dict[str, Any]) -> int:
    """Print it, write it, and say whether all pictures were the same."""
    shown = rows(found, given.sides)
    print(table(shown, given.sides[0]))
    print(f"\n{stages_table(shown)}")
    print(f"\n{rest_line(found)}")
    different, compared = found.pictures.different(), found.pictures.compared()
    asked = {name: value for name, value in vars(given).items() if name != "output"}
    told = more | {"asked": asked, "rows": shown, "at rest, percent of a core": found.rest}
    told |= {"start, seconds": found.start_seconds, "pictures": {"compared": compared, "different": different}}
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(told, indent=2, default=str) + "\n", encoding="utf-8")
    if different:
        print("\nTHE PICTURES DIFFER:\n" + "\n".join(different))
        return 1
    print(f"\n{compared} try-ons gave the same pixels on all sides." if compared else "\nNothing was compared.")
    return 0


def models_in(folder: Path, smallest: bool) -> Path:
    """Those in MODEL_DIR, or miniatures that are made in the folder."""
    if given := os.environ.get("MODEL_DIR"):
        return Path(given).resolve()
    miniatures_in(folder / "models", SMALLEST if smallest else None)
    return folder / "models"


def miniatures_in(folder: Path, sizes: Sizes | None) -> None:
    """In this process, which then has a started ComfyUI: it is asked for nothing else."""
    with redirect_stdout(io.StringIO()):
        write_miniatures(start(Settings(comfyui_device="cpu")), folder, sizes=sizes)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES), metavar="SIDE", help="only these")
    parser.add_argument("--steps", type=int, default=4, help="of the sampler (default: 4)")
    parser.add_argument("--plain", action="store_true", help="the allocator and the attention out of the box, for all")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument(
        "--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), metavar="SCENARIO", help="only these"
    )
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.25, 1.0], help="sizes (default: 0.25 1)")
    parser.add_argument("--tries", type=int, default=3, help="one by one (default: 3)")
    parser.add_argument("--queued", type=int, default=8, metavar="N", help="at once (default: 8)")
    parser.add_argument("--garments", type=int, default=40, metavar="N", help="at once on one person (default: 40)")
    parser.add_argument("--passes", type=int, default=1, help="through everything (default: 1)")
    parser.add_argument("--all-up", action="store_true", help="stop no side while others have their turn")
    parser.add_argument("--rest", type=float, default=10, metavar="SECONDS", help="watched, of each side (default: 10)")
    parser.add_argument("--smallest", action="store_true", help="models smaller than the miniatures, as the tests have")
    parser.add_argument("--output", type=Path, default=Path("out/bench.json"), help="(default: %(default)s)")
    given = parser.parse_args()
    end_in_order()
    settle(given.plain)
    machine = described()
    with tempfile.TemporaryDirectory(prefix="vtryon-bench-") as made:
        folder = Path(made)
        models = models_in(folder, given.smallest)
        say("making the pictures ...")
        passes = make_passes(given, folder / "pictures")
        found = compare(world_in(folder, models), given.sides, passes, all_up=given.all_up, rest_seconds=given.rest)
    return ended(found, given, {"machine": machine, "settings": of_the_user(dict(os.environ))})


if __name__ == "__main__":
    sys.exit(main())
