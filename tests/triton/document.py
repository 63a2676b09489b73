"""The tables of docs/TRITON_CONFIG.md, as they follow from the model repository in triton_models/.

`python -m tests.triton.document` writes them into it anew.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

DOCUMENT = ROOT / "docs" / "TRITON_CONFIG.md"
REPOSITORY = ROOT / "triton_models"
HOST = "vtryon_stages"
"""It has every tensor of the stages, and nobody asks it by name."""
MODELS = ("latent_encoder", "text_encoder", "sampling", "decoding", "vtryon_pipeline", "vtryon_news")
WIRE = {"TYPE_STRING": "BYTES"}
TENSOR = re.compile(
    r'^  # (.*)\n  \{ name: "(\w+)" data_type: (\w+) dims: \[ (.*?) \]( optional: true)? \}', re.MULTILINE
)


@dataclass(frozen=True)
class Row:
    name: str
    kind: str
    shape: str
    optional: bool
    meaning: str
    model: str


def rows(side: str, folder: Path = REPOSITORY) -> Iterator[Row]:
    """Each tensor of each model: `side` is input or output."""
    for model in MODELS:
        config = (folder / model / "config.pbtxt").read_text(encoding="utf-8")
        found = re.search(rf"^{side} \[\n(.*?)^\]", config, re.MULTILINE | re.DOTALL)
        assert found, (model, side)
        for meaning, name, kind, shape, optional in TENSOR.findall(found[1]):
            yield Row(name, WIRE.get(kind, kind.removeprefix("TYPE_")), f"[{shape}]", bool(optional), meaning, model)


def lines(side: str, folder: Path = REPOSITORY) -> list[str]:
    """The rows of the table: a tensor that several models have alike stands in it once."""
    together: dict[tuple[str, str, str, str], list[str]] = {}
    for row in rows(side, folder):
        together.setdefault((row.name, row.kind, row.shape, row.meaning), []).append(row.model)
    return [
        f"| `{name}` | {kind} | {shape} | {of(models)} | {meaning} |"
        for (name, kind, shape, meaning), models in together.items()
    ]


def of(models: Iterable[str]) -> str:
    stages = {name: name for name in MODELS if not name.startswith("vtryon_")}
    named = [f"`{model}`" for model in models]
    return "all but `vtryon_news`" if {*models} == {*stages, "vtryon_pipeline"} else ", ".join(named)


def written(text: str, heading: str, side: str) -> str:
    """The document with the rows under that heading as they should be."""
    head = r"\| Tensor \|.*\n\|[-|]+\n"
    found = re.search(rf"^### {heading}\n\n{head}((?:\|.*\n)*)", text, re.MULTILINE)
    assert found, heading
    return text[: found.start(1)] + "\n".join(lines(side)) + "\n" + text[found.end(1) :]


if __name__ == "__main__":
    DOCUMENT.write_text(written(written(DOCUMENT.read_text("utf-8"), "Inputs", "input"), "Outputs", "output"), "utf-8")
