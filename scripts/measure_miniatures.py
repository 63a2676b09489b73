"""Measure the trained miniatures on drawings that nothing was trained on, through the command lines of the four
services.

A hundred try-ons with other seeds, patterns and a pose held out: portrait, landscape and square in turn, every fourth
three at 1 megapixel, which takes twice as long, the others at 0.25; then areas painted by hand, another seed, another
garment, and no LoRA. Prints a table and writes it to --output with a picture of each of the worst. What is measured
already with these models is not measured again, so it can be stopped and gone on with.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import numpy as np
from contact_sheet import contact_sheet
from drawings.dressing import HELD_OUT, SIZES, UNIT, draw_lots, some_garment
from drawings.painted import PAINTED
from miniatures.drawn import Drawn, Picture, draw_all, drawn_of, read
from miniatures.quality import LEAST_INSIDE, LEAST_OUTSIDE, MOST_COLOUR, Quality, psnr, quality_of
from PIL import Image
from tqdm import tqdm

SHAPES = ("portrait", "landscape", "square")
MEGAPIXELS = (1.0, 0.25, 0.25, 0.25)
"""In turn."""
SEED = 7
VARIED = 3
"""Drawings on which seed, garment and LoRA are varied."""
SHOWN = 4
"""Of the worst."""
LEAST_COLOURED = 0.95
"""Share of the drawings whose garment has the colour that was asked for."""


@dataclass(frozen=True)
class Case:
    """One try-on to be made."""

    kind: str
    name: str
    person: Path
    garment: Path
    megapixels: float
    seed: int = SEED
    lora: float = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--models",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="what `vtryon models miniature --output FOLDER` wrote",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("out/measured"), metavar="FOLDER", help="default: %(default)s"
    )
    parser.add_argument("--count", type=int, default=100, help="drawings (default: %(default)s)")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count(), help="side by side, a thread each (default: one per core)"
    )
    given = parser.parse_args()
    drawings = draw_all(given.output / "drawings", range(100, 100 + given.count), held_out=True)
    cases = [*_drawn_cases(drawings), *_painted_cases(given.output), *_varied_cases(drawings)]
    made = _make_all(cases, given.models, given.output, given.processes)
    wanted = {case: _wanted(case) for case in cases}
    quality = {case: quality_of(_picture(made[case]), wanted[case]) for case in cases}
    verdict, good = _verdict([quality[case] for case in cases if case.kind == "drawn"])
    report = "\n".join([*_table(cases, quality), "", *_differences(cases, made), "", verdict, ""])
    (given.output / "measured.md").write_text(report, "utf-8")
    _show_worst(given.output / "worst.png", cases, quality, wanted, made)
    print(f"{report}\nwrote {given.output / 'measured.md'} and {given.output / 'worst.png'}")
    return 0 if good else 1


def _drawn_cases(drawings: Sequence[Path]) -> list[Case]:
    return [
        Case("drawn", file.stem, file, file, MEGAPIXELS[index // len(SIZES) % len(MEGAPIXELS)])
        for index, file in enumerate(drawings)
    ]


def _painted_cases(output: Path) -> list[Case]:
    cases = []
    for kind, paint in PAINTED.items():
        file = output / "drawings" / f"{kind}.npz"
        if not file.exists():
            chance = Random(kind)
            person, garment = draw_lots(chance, True), some_garment(chance, HELD_OUT)
            width, height = SIZES[0]
            drawn_of(paint(person, garment, (width, height), (width / 2, height / 2 - 63 * UNIT), SEED)).write(file)
        cases += [Case("by hand", kind, file, file, megapixels) for megapixels in sorted(set(MEGAPIXELS))]
    return cases


def _varied_cases(drawings: Sequence[Path]) -> list[Case]:
    cases = []
    for index in range(len(SIZES), min(len(SIZES) + VARIED, len(drawings) - len(SIZES))):
        # The next drawing of the same size: its garment lies nearly where this person wears one.
        file, other = drawings[index], drawings[index + len(SIZES)]
        cases += [
            Case("other seed", f"{file.stem} other seed", file, file, 0.25, seed=SEED + 1),
            Case("other garment", f"{file.stem} other garment", file, other, 0.25),
            Case("no LoRA", f"{file.stem} no LoRA", file, file, 0.25, lora=0.0),
        ]
    return cases


def _make_all(cases: Sequence[Case], models: Path, output: Path, processes: int) -> dict[Case, Path]:
    # Other weights, other pictures.
    folder = output / f"pictures_{_digest(models)}"
    pictures = {case: folder / f"{case.name.replace(' ', '_')}_{case.megapixels}.png" for case in cases}
    missing = [(case, picture.resolve()) for case, picture in pictures.items() if not picture.exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        # Spawned: each starts a ComfyUI of its own.
        prepare = (models.resolve(), output.resolve())
        with ProcessPoolExecutor(processes, get_context("spawn"), _prepare, prepare) as pool:
            for _ in tqdm(pool.map(_make, missing), "try-ons", len(missing)):
                pass
    return pictures


def _digest(models: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(models.rglob("*.safetensors")):
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:8]


_stages: dict[str, Any] = {}


def _prepare(models: Path, output: Path) -> None:
    """Of a process: the four services, whose models stay loaded from one command line to the next."""
    log = os.open(output / f"services_{os.getpid()}.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(MODEL_DIR=str(models), OUTPUT_DIR=str(output / "work"), OMP_NUM_THREADS="1")
    os.environ.setdefault("COMFYUI_ATTENTION", "pytorch")
    import_module("torch").set_num_threads(1)
    models_of = import_module("shared_utils.comfy.loader").Models
    shared = None
    for name, kind in (
        ("latent_encoder", "LatentEncoder"),
        ("text_encoder", "TextEncoder"),
        ("sampling", "Sampling"),
        ("decoding", "Decoding"),
    ):
        stage = getattr(import_module(f"{name}.service"), kind)
        options = stage.options_type.read()
        shared = shared or models_of(options)
        _stages[name] = stage(options, shared)


def _make(job: tuple[Case, Path]) -> None:
    """As README.md does it by hand."""
    case, picture = job
    run = import_module("shared_utils.transports.cli.standalone").run_standalone
    folder = picture.with_suffix(".work")
    folder.mkdir(exist_ok=True)
    person, garment = folder / "person.png", folder / "garment.png"
    Image.fromarray(read(case.person).masked).save(person)
    Image.fromarray(read(case.garment).garment).save(garment)
    common = ["--request_id", "measured", "--output_dir", str(folder)]
    lines = {
        "latent_encoder": ["--image_path", person, "--megapixels", case.megapixels],
        "text_encoder": ["--image1_path", person, "--image2_path", garment, "--encode_negative", "false"],
        "sampling": [
            *("--positive_encoding", folder / "positive_measured.pt"),
            *("--latent_image", folder / "latent_measured.pt"),
            *("--seed", case.seed, "--lora_strength", case.lora),
        ],
        "decoding": ["--latent_path", folder / "sampled_latent_measured.pt", "--output_filename", "made.png"],
    }
    for name, line in lines.items():
        if run(_stages[name], [*(str(each) for each in line), *common]) != 0:
            raise RuntimeError(f"{name} failed on {case.name}: see services_{os.getpid()}.log beside the pictures.")
    (folder / "made.png").rename(picture)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def _verdict(qualities: Sequence[Quality]) -> tuple[str, bool]:
    """Whether they are what the miniatures are to be."""
    outside, inside = median(q.outside for q in qualities), median(q.inside for q in qualities)
    coloured = sum(q.colour <= MOST_COLOUR for q in qualities)
    good = outside >= LEAST_OUTSIDE and inside >= LEAST_INSIDE and coloured >= LEAST_COLOURED * len(qualities)
    text = (
        f"Of {len(qualities)} drawings: {outside:.1f} dB outside the area (median; at least {LEAST_OUTSIDE:g}), "
        f"{inside:.1f} dB inside it (at least {LEAST_INSIDE:g}), in {coloured} the garment's main colour within "
        f"{MOST_COLOUR:g} (at least {LEAST_COLOURED:.0%}): {'good' if good else 'NOT good enough'}."
    )
    return text, good


def _table(cases: Sequence[Case], quality: dict[Case, Quality]) -> list[str]:
    drawn = [case for case in cases if case.kind == "drawn"]
    lines = [
        "| drawings | | outside, dB | worst | inside, dB | worst | colour off | worst | good |",
        "|" + " --- |" * 9,
    ]
    for megapixels in sorted(set(MEGAPIXELS), reverse=True):
        for index, shape in enumerate(SHAPES):
            some = [case for n, case in enumerate(drawn) if n % 3 == index and case.megapixels == megapixels]
            lines += _row(f"{shape}, {megapixels:g} MP", [quality[case] for case in some])
    lines += _row("all", [quality[case] for case in drawn])
    for kind in PAINTED:
        some = [case for case in cases if case.kind == "by hand" and case.name == kind]
        lines += _row(f"by hand: {kind}", [quality[case] for case in some])
    without = [case for case in cases if case.kind == "no LoRA"]
    lines += _row("no LoRA", [quality[case] for case in without])
    lines += _row("the same with it", [quality[case] for case in drawn if case.person in {c.person for c in without}])
    return lines


def _row(title: str, qualities: Sequence[Quality]) -> list[str]:
    if not qualities:
        return []
    outside, inside, colour = ([getattr(q, name) for q in qualities] for name in ("outside", "inside", "colour"))
    good = sum(q.outside >= LEAST_OUTSIDE and q.inside >= LEAST_INSIDE and q.colour <= MOST_COLOUR for q in qualities)
    figures = (median(outside), min(outside), median(inside), min(inside), median(colour), max(colour))
    cells = [title, str(len(qualities)), *(f"{figure:.1f}" for figure in figures), f"{good} of {len(qualities)}"]
    return [f"| {' | '.join(cells)} |"]


def _differences(cases: Sequence[Case], made: dict[Case, Path]) -> list[str]:
    """How far pictures of the same person are from each other."""
    plain = {case.person: _picture(made[case]) for case in cases if case.kind == "drawn"}
    lines = []
    for kind in ("other seed", "other garment"):
        far = []
        for case in cases:
            if case.kind == kind:
                other = _picture(made[case])
                far.append(psnr(other, plain[case.person], np.ones(other.shape[:2], bool)))
        if far:
            lines.append(f"{kind}: {median(far):.1f} dB from the picture as it is ({min(far):.1f} to {max(far):.1f})")
    return lines


def _show_worst(
    file: Path, cases: Sequence[Case], quality: dict[Case, Quality], wanted: dict[Case, Drawn], made: dict[Case, Path]
) -> None:
    drawn = [case for case in cases if case.kind in ("drawn", "by hand")]
    worst = sorted(
        drawn, key=lambda case: min(quality[case].outside - LEAST_OUTSIDE, quality[case].inside - LEAST_INSIDE)
    )
    rows = []
    for case in worst[:SHOWN]:
        asked, one = wanted[case], quality[case]
        figures = f"{one.outside:.1f} dB outside, {one.inside:.1f} inside"
        pictures = (asked.masked, asked.garment, _picture(made[case]), asked.dressed)
        captions = (f"{case.name}, {case.megapixels:g} MP", "garment", figures, "asked for")
        rows.append([(c, Image.fromarray(p)) for c, p in zip(captions, pictures, strict=True)])
    contact_sheet(rows).save(file)


def _wanted(case: Case) -> Drawn:
    person = read(case.person)
    return Drawn(person.person, person.area, read(case.garment).garment)


def _picture(file: Path) -> Picture:
    return np.asarray(Image.open(file).convert("RGB"))


if __name__ == "__main__":
    sys.exit(main())
