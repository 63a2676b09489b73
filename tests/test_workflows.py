"""The workflows for whoever forks this: valid against GitHub's schema, and what they run is there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)


def read(workflow: Path) -> Any:
    return yaml.safe_load(workflow.read_text(encoding="utf-8"))


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in read(workflow)["jobs"].values() for step in job["steps"]]


def checked(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Its schema of GitHub's is in the package: nothing is fetched.
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_valid_against_the_schema(tmp_path: Path) -> None:
    assert len(WORKFLOWS) == 3
    ran = checked(*map(str, WORKFLOWS))
    assert ran.returncode == 0, ran.stdout
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text(encoding="utf-8").replace("runs-on:", "runs_on:"), encoding="utf-8")
    assert checked(str(wrong)).returncode == 1


@each_workflow
def test_it_may_do_no_more_than_it_needs(workflow: Path) -> None:
    assert read(workflow)["permissions"]["contents"] == "read"
    assert all("timeout-minutes" in job for job in read(workflow)["jobs"].values())


@each_workflow
def test_nothing_from_outside_stands_in_a_script(workflow: Path) -> None:
    """What somebody else writes, a branch's name for one, comes as a variable, never as a part of a script."""
    assert not [step["run"] for step in steps(workflow) if "${{" in step.get("run", "")]


@each_workflow
def test_what_is_run_is_there(workflow: Path) -> None:
    for step in steps(workflow):
        for script in re.findall(r"^(?:\.ci|scripts)/\S+", step.get("run", ""), re.MULTILINE):
            assert (ROOT / script).stat().st_mode & 0o100, script


def test_overlays_that_can_be_deployed() -> None:
    (deploy,) = (path for path in WORKFLOWS if path.stem == "deploy")
    # YAML 1.1 reads the key `on` as true.
    offered = read(deploy)[True]["workflow_dispatch"]["inputs"]["overlay"]["options"]
    assert {*offered} == {folder.name for folder in (ROOT / "k8s" / "overlays").iterdir()}


def test_every_dockerfile_is_baked() -> None:
    baked = (ROOT / "docker-bake.hcl").read_text(encoding="utf-8")
    named = {*re.findall(r'dockerfile\s+= "([^"]+)"', baked), "shared_utils/Dockerfile"}
    services = re.findall(r"service = \[(.+)\]", baked)[0]
    named |= {f"{name.replace('-', '_')}/Dockerfile" for name in re.findall(r'"([^"]+)"', services) if name != "worker"}
    found = {str(path.relative_to(ROOT)) for path in [*ROOT.glob("*/Dockerfile"), *ROOT.glob("Dockerfile.*[a-z]")]}
    found.discard("Dockerfile.triton.dockerignore")
    assert named == found
