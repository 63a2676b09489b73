"""scripts/setup.sh: what it decides, with stand-ins for Python, pip and the GPU's driver. Nothing is installed here."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Stands in for Python, and for the one in .venv: says what it was asked, and knows what is "installed".
PYTHON = r"""#!/bin/bash
case "$*" in
    *sys.version_info*) exit 0 ;;
    --version) echo "Python 3.11.0" ;;
    "-m venv "*)
        mkdir -p .venv/bin && cp "$0" .venv/bin/python && touch .venv/bin/vtryon && chmod +x .venv/bin/vtryon
        echo "command = $0 $*" > .venv/pyvenv.cfg
        sed -i "s|--clear .venv|--clear $PWD/.venv|" .venv/pyvenv.cfg
        echo venv >> asked ;;
    "-m pip --version") [ -x .venv/bin/vtryon ] ;;
    "-m pip check") exit 0 ;;
    "-m pip install "*)
        whole=$*; echo "${whole#-m pip install }" >> asked
        [ ! -e pip_fails ] || exit 1
        [[ ! -e wheels_fail || "$*" != *"--index-url"* ]] || exit 1
        [[ "$*" == *"--index-url"*/cpu* ]] && echo 2.13.0+cpu > torch || { [ -e torch ] || echo 2.13.0 > torch; } ;;
    *'version("torch")'*) cat torch 2> /dev/null || exit 1 ;;
    "- "*) echo "$2" >> looked; grep -qsF "$2" offered && exit 0; [ -e unreachable ] && exit 2; exit 1 ;;
    "-m shared_utils.comfy.provision") echo "comfyui" ;;
    *) echo "teach the stand-in: $*" >&2; exit 99 ;;
esac
"""
NVIDIA_SMI = """#!/bin/sh
{fails}
case "$1" in
    -L) i=0; while [ $i -lt 2000 ]; do echo "GPU $i: NVIDIA H200 (UUID: GPU-$i)"; i=$((i + 1)); done ;;
    *) echo "| Driver Version: 570.10    CUDA Version: {cuda}     |"; yes "| line |" | head -2000 ;;
esac
"""


class Checkout:
    """A folder with a space in its name, and the script in it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.bin = folder / "bin"
        self.bin.mkdir()
        (self.root / "scripts").mkdir(parents=True)
        (self.root / "shared_utils").mkdir()
        shutil.copy(ROOT / "scripts" / "setup.sh", self.root / "scripts")
        (self.root / "pyproject.toml").touch()
        (self.root / "shared_utils" / "__init__.py").touch()
        (self.root / "constraints.txt").write_text("tokenizers==0.23.3\ntorch==2.13.0\ntorchsde==0.2.6\n")
        self.command("python3.11", PYTHON)

    def command(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def driver(self, cuda: str, fails: str = "") -> None:
        self.command("nvidia-smi", NVIDIA_SMI.format(cuda=cuda, fails=fails))

    def offers(self, *builds: str) -> None:
        lines = [f"https://download.pytorch.org/whl/{build}/torch/\n" for build in builds]
        (self.root / "offered").write_text("".join(lines))

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """From another folder."""
        return subprocess.run(
            [self.root / "scripts" / "setup.sh", *arguments],
            cwd=self.bin,
            env={"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": os.environ.get("HOME", "/"), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def asked(self) -> list[str]:
        """What pip was asked for, and venvs."""
        path = self.root / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.replace("--quiet --constraint constraints.txt ", "") for line in lines]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    if Path("/usr/bin/nvidia-smi").exists():
        pytest.skip("this machine has an nvidia-smi of its own: run this test where there is none")
    return Checkout(tmp_path)


ALL = "--editable .[stages,dev]"
OWN = "--index-url https://download.pytorch.org/whl/{} --no-deps torch"


def test_the_second_run_does_nothing(checkout: Checkout) -> None:
    checkout.offers("cpu")
    first = checkout.run()
    assert (first.returncode, first.stderr) == (0, "")
    assert checkout.asked() == ["venv", OWN.format("cpu"), ALL]
    assert "nvidia-smi shows no NVIDIA GPU" in first.stdout
    second = checkout.run()
    assert (second.returncode, second.stderr) == (0, "")
    assert checkout.asked() == []
    assert "nothing to do" in second.stdout
    (checkout.root / "pyproject.toml").write_text("changed")
    assert checkout.run().returncode == 0
    assert checkout.asked() == [ALL]


@pytest.mark.parametrize(
    ("cuda", "offered", "build"),
    [
        ("13.1", ["cu126", "cu128", "cu130", "cpu"], "cu130"),
        ("12.9", ["cu126", "cu128", "cu130", "cpu"], "cu128"),
        ("12.6", ["cu126", "cu128", "cu130", "cpu"], "cu126"),
        ("12.2", ["cu126", "cu128", "cu130", "cpu"], "cpu"),
        ("14.0", ["cpu"], None),
        ("13.0", [], None),
    ],
)
def test_the_build_for_a_driver(checkout: Checkout, cuda: str, offered: list[str], build: str | None) -> None:
    checkout.driver(cuda)
    checkout.offers(*offered)
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert f"CUDA {cuda}" in done.stdout
    assert checkout.asked() == ["venv", *([OWN.format(build)] if build else []), ALL]
    assert ("ordinary index" in done.stdout) == (build is None)


@pytest.mark.parametrize(("cuda", "fails"), [("N/A", ""), ("12.8", "echo 'No devices were found'; exit 6")])
def test_a_driver_that_does_not_work(checkout: Checkout, cuda: str, fails: str) -> None:
    checkout.driver(cuda, fails)
    checkout.offers("cpu", "cu128")
    assert checkout.run().returncode == 0
    assert checkout.asked() == ["venv", OWN.format("cpu"), ALL]


def test_an_index_that_is_out_of_reach_is_asked_once(checkout: Checkout) -> None:
    checkout.driver("13.0")
    (checkout.root / "unreachable").touch()
    done = checkout.run()
    assert "can't be reached" in done.stdout
    assert checkout.asked() == ["venv", ALL]
    assert len((checkout.root / "looked").read_text().splitlines()) == 1


def test_an_index_whose_wheels_do_not_come(checkout: Checkout) -> None:
    checkout.offers("cpu")
    (checkout.root / "wheels_fail").touch()
    done = checkout.run()
    assert done.returncode == 0
    assert "from the ordinary index" in done.stdout
    assert checkout.asked() == ["venv", OWN.format("cpu"), ALL]


def test_a_pytorch_for_the_cpu_beside_a_gpu(checkout: Checkout) -> None:
    """Kept, with a word on how to have the other."""
    checkout.driver("13.0")
    checkout.offers("cu130")
    (checkout.root / "torch").write_text("2.13.0+cpu")
    done = checkout.run()
    assert "pip uninstall torch" in done.stdout
    assert checkout.asked() == ["venv", ALL]


def test_the_index_that_is_given(checkout: Checkout) -> None:
    checkout.driver("13.0")
    checkout.offers("cu130")
    assert checkout.run(TORCH_INDEX_URL="https://mirror.example/cpu").returncode == 0
    assert checkout.asked() == ["venv", "--index-url https://mirror.example/cpu --no-deps torch", ALL]
    assert not (checkout.root / "looked").exists()


@pytest.mark.parametrize(("installed", "kept"), [("2.13.0", True), ("2.13.0+cu130", True), ("2.12.1", False)])
def test_a_pytorch_that_is_there(checkout: Checkout, installed: str, kept: bool) -> None:
    checkout.offers("cpu")
    (checkout.root / "torch").write_text(installed)
    done = checkout.run(TORCH_INDEX_URL="")
    assert checkout.asked() == (["venv", ALL] if kept else ["venv", OWN.format("cpu"), ALL])
    assert (f"PyTorch {installed} is here: kept" in done.stdout) == kept


def test_what_was_broken_off_is_taken_up(checkout: Checkout) -> None:
    checkout.offers("cpu")
    (checkout.root / "pip_fails").touch()
    assert checkout.run().returncode == 1
    (checkout.root / "pip_fails").unlink()
    checkout.asked()
    assert checkout.run().returncode == 0
    assert checkout.asked() == [OWN.format("cpu"), ALL]


@pytest.mark.parametrize("breaking", ["empty", "no pip", "a file", "moved"])
def test_a_broken_venv_is_made_anew(checkout: Checkout, tmp_path: Path, breaking: str) -> None:
    venv = checkout.root / ".venv"
    if breaking == "empty":
        venv.mkdir()
    elif breaking == "a file":
        venv.touch()
    else:
        assert checkout.run().returncode == 0
        checkout.asked()
    if breaking == "no pip":
        (venv / "bin" / "vtryon").unlink()
    if breaking == "moved":
        checkout.root.rename(tmp_path / "elsewhere")
        checkout.root = tmp_path / "elsewhere"
    done = checkout.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert ".venv does not work: made anew" in done.stdout
    assert checkout.asked()[0] == "venv"


def test_a_link_to_the_venv_of_another_checkout(checkout: Checkout, tmp_path: Path) -> None:
    """Nothing is installed there in the name of this one."""
    assert checkout.run().returncode == 0
    other = tmp_path / "other"
    shutil.copytree(checkout.root, other, ignore=shutil.ignore_patterns(".venv", "asked"))
    (other / ".venv").symlink_to(checkout.root / ".venv")
    (other / "pyproject.toml").write_text("changed")
    checkout.root = other
    done = checkout.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing is installed into it" in done.stdout
    assert checkout.asked() == []


def test_help_and_mistakes(checkout: Checkout) -> None:
    shown = checkout.run("--help")
    assert shown.returncode == 0
    assert "TORCH_INDEX_URL" in shown.stdout
    assert checkout.run("--hepl").returncode == 2
    assert checkout.asked() == []


def test_no_python(checkout: Checkout) -> None:
    for name in ("python3.11", "python3.12", "python3.13", "python3"):
        checkout.command(name, "#!/bin/sh\nexit 1\n")
    done = checkout.run()
    assert done.returncode == 1
    assert "PYTHON=/path/to/python" in done.stderr
