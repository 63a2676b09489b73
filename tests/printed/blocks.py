"""The commands that a document prints, as a script.

A block begins with ```sh. What follows on that line says how it is run; whoever reads the page does not see it:

    gpu, cluster, registry  it needs what a test has not got: not run
    hours                   it needs more time than a test has: not run
    serves                  goes on until Ctrl-C: it is waited for, then interrupted
    stays                   the same, but it goes on until the document ends: what follows needs it
    fails                   its end is an error, as the document says
    alone                   what it sets holds in it only
    ci                      make targets: .ci/run runs them
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

NEEDS = {"gpu", "cluster", "registry", "hours"}
READY = r"waits for |listens on |Ctrl-C ends it|^127\.0\.0\.1:[0-9]+$"
"""What those that serve print when they do."""
WORDS = NEEDS | {"serves", "stays", "fails", "alone", "ci"}

PRELUDE = f"""
set -eo pipefail

# Runs $1 until it says that it serves. Each has a group of its own, so that Ctrl-C reaches it and not the script.
begin() {{
    log=$(mktemp out/serving.XXXXXX.log)
    set -m
    bash -eo pipefail -c "$1" > "$log" 2>&1 &
    serving=$!
    set +m
    grep --quiet --max-count=1 --extended-regexp {shlex.quote(READY)} <(tail -n +1 -F --pid=$serving "$log") || {{
        cat "$log"
        exit 1
    }}
}}

fails() {{
    if bash -eo pipefail -c "$1"; then
        echo "it did not fail: $1"
        exit 1
    fi
}}

end() {{
    kill -INT -- "-$serving"
    wait "$serving" || [ $? = 130 ]
}}
"""


@dataclass(frozen=True)
class Block:
    language: str
    words: frozenset[str]
    text: str


def blocks(markdown: str) -> Iterator[Block]:
    for info, text in re.findall(r"^```((?:sh|python)\b[^\n]*)\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL):
        language, *words = info.split()
        yield Block(language, frozenset(words), text)


def on_fast_models(markdown: str) -> str:
    """The same commands on random miniatures: they run all that the trained ones do, in a fraction of the time."""
    return markdown.replace("vtryon models miniature --output", "vtryon models miniature --random --output")


def script(markdown: str, *, with_python: bool = False) -> str:
    """All that is run of a document, in its order."""
    parts = [PRELUDE]
    stays: list[str] = []
    for block in blocks(markdown):
        if block.language == "python":
            parts += [f"python - <<'END_OF_PYTHON'\n{block.text}END_OF_PYTHON\n"] if with_python else []
        elif block.words & (NEEDS | {"ci"}):
            continue
        elif "serves" in block.words:
            parts.append(f"begin {shlex.quote(block.text)}\nend\n")
        elif "stays" in block.words:
            stays.append(f"kept{len(stays)}")
            parts.append(f"begin {shlex.quote(block.text)}\n{stays[-1]}=$serving\n")
        elif "alone" in block.words:
            parts.append(f"(\n{block.text})\n")
        elif "fails" in block.words:
            parts.append(f"fails {shlex.quote(block.text)}\n")
        else:
            parts.append(block.text)
    parts += [f"serving=${name}\nend\n" for name in reversed(stays)]
    return "\n".join(parts)
