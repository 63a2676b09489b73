"""Every command that a document prints is run as it is printed, or says what it needs that a test has not got."""

import re
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.printed.blocks import NEEDS, WORDS, blocks, on_fast_models, script
from tests.printed.conftest import Run

ON_KAFKA = """```sh
. .venv/bin/activate
vtryon models miniature --output out/models
export MODEL_DIR=out/models
vtryon kafka start
vtryon topics create
```
"""
"""What the documents call Kafka running, with its topics made."""
WITH_WORKERS = f"""{ON_KAFKA}
```sh stays
python -m shared_utils.worker --stages latent_encoder,text_encoder,sampling,decoding
```
"""
WITH_ALL = f"""{WITH_WORKERS}
```sh stays
python -m orchestrator
```
"""
SERVICES = ("latent_encoder", "text_encoder", "sampling", "decoding")

RUN = {
    ("README.md",): "",
    tuple(f"{name}/README.md" for name in SERVICES): ON_KAFKA,
    ("orchestrator/README.md",): WITH_WORKERS,
    ("docs/FILES.md",): WITH_ALL,
    ("docs/KAFKA_SCHEMAS.md",): WITH_ALL,
    ("docs/TRITON_CONFIG.md",): ON_KAFKA,
}
"""The documents whose commands follow on one another, and where they begin."""
ELSEWHERE = {"docs/API_MULTI_PROTOCOL.md": "tests/printed/test_doors_document.py"}
NEED_TRITON = "TRITON_CONFIG"


def on_what_it_needs(names: tuple[str, ...], begin: str) -> Any:
    marks = [pytest.mark.kafka, *([pytest.mark.triton] if NEED_TRITON in names[0] else [])]
    return pytest.param(names, begin, marks=marks, id=names[0])


def documents() -> list[str]:
    found = [*ROOT.glob("*.md"), *ROOT.glob("[a-z]*/*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


@pytest.mark.parametrize(("names", "begin"), [on_what_it_needs(*each) for each in RUN.items()])
def test_as_printed(names: tuple[str, ...], begin: str, run: Run) -> None:
    run(script(on_fast_models(begin + "".join(map(read, names)))))


@pytest.mark.parametrize("document", documents())
def test_every_document_with_commands_is_run(document: str) -> None:
    found = list(blocks(read(document)))
    assert {word for block in found for word in block.words} <= WORDS
    to_run = [block for block in found if block.language == "sh" and not block.words & (NEEDS | {"ci"})]
    known = {name for names in RUN for name in names} | ELSEWHERE.keys()
    assert bool(to_run) == (document in known)


@pytest.mark.parametrize(("document", "test"), ELSEWHERE.items())
def test_those_run_elsewhere_are(document: str, test: str) -> None:
    assert document.rpartition("/")[2] in read(test)
    assert "script(" in read(test)


def test_what_ci_runs() -> None:
    run_by_ci = set(re.findall(r"^make .+$", read(".ci/run"), re.MULTILINE))
    for document in documents():
        for block in blocks(read(document)):
            if "ci" in block.words:
                assert {*block.text.splitlines()} <= run_by_ci, document
