"""Dockerfile.triton, as far as can be told without building it."""

import json
import re
import tomllib

from tests.conftest import ROOT

TEXT = (ROOT / "Dockerfile.triton").read_text(encoding="utf-8").replace("\\\n", " ")
IGNORED = (ROOT / "Dockerfile.triton.dockerignore").read_text(encoding="utf-8").splitlines()


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.*)$", TEXT, re.MULTILINE)


def test_the_base_is_pinned() -> None:
    (base,) = instructions("FROM")
    assert re.fullmatch(r"nvcr\.io/nvidia/tritonserver:\d\d\.\d\d-py3", base)


def test_what_is_copied_is_there_and_let_in() -> None:
    copied = {source for line in instructions("COPY") for source in line.split()[:-1]}
    assert all((ROOT / source).exists() for source in copied)
    assert {line[1:] for line in IGNORED if line.startswith("!")} == copied
    assert "*" in IGNORED


def test_it_has_all_that_the_package_is_built_from() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = {source for line in instructions("COPY") for source in line.split()[:-1]}
    assert {*packages, "pyproject.toml", "README.md", "LICENSE", "NOTICE"} <= copied


def test_the_server_is_what_runs_and_has_no_rights() -> None:
    (entry,) = instructions("ENTRYPOINT")
    command, *arguments = json.loads(entry)
    assert command == "tritonserver"
    (built,) = re.findall(r"triton build --output (\S+)", TEXT)
    assert f"--model-repository={built}" in arguments
    (user,) = instructions("USER")
    assert int(user) > 0
    assert TEXT.index("USER") > TEXT.rindex("RUN")


def test_no_weights() -> None:
    assert not re.search(r"safetensors|huggingface", TEXT)
    assert "MODEL_DIR=/models" in TEXT
