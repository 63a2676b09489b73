"""`vtryon models download`: what a person sees, and processes that are stopped or started together."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from orchestrator.cli.main import main
from shared_utils.downloads import files
from shared_utils.downloads.files import WORKFLOW, ModelFile
from shared_utils.signals import STOPPED
from tests.conftest import ROOT
from tests.orchestrator.cli import download_process
from tests.shared_utils.downloads import mirror as servers
from tests.shared_utils.downloads.mirror import MB, Mirror, mirroring

COMMAND = ["models", "download"]
PATIENCE = 300.0
"""With processes that start on a busy machine."""


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Mirror]:
    """One that the settings name."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name == "HF_TOKEN"]:
        monkeypatch.delenv(name)
    with mirroring() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url())
        monkeypatch.setenv("MODEL_DIR", str(tmp_path / "our models"))
        yield running


@pytest.fixture
def file(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> ModelFile:
    """The only one of the workflow."""
    only = mirror.has("vae.safetensors", 4 * MB)
    monkeypatch.setattr(files, "WORKFLOW", (only,))
    return only


def target(tmp_path: Path, file: ModelFile) -> Path:
    return tmp_path / "our models" / file.label


def test_the_list() -> None:
    """Four files, whose digests are digests."""
    assert [file.folder for file in WORKFLOW] == ["diffusion_models", "text_encoders", "vae", "loras"]
    assert all(len(bytes.fromhex(file.sha256)) == 32 for file in WORKFLOW)
    assert {file.place.split("/resolve/main/")[1].rpartition("/")[2] for file in WORKFLOW} == {
        file.name for file in WORKFLOW
    }


def test_a_download_and_another(
    mirror: Mirror,
    file: ModelFile,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="vtryon")
    assert main(COMMAND) == 0
    assert target(tmp_path, file).read_bytes() == mirror.content(file)
    shown = capsys.readouterr()
    announced, fetched = shown.out.index("licence: Apache-2.0"), shown.out.index("fetched    vae/vae.safetensors")
    assert announced < fetched
    assert "shop/models" in shown.out
    assert "downloading vae/vae.safetensors: 100 % (4.2 MB of 4.2 MB)" in caplog.text
    assert main(COMMAND) == 0
    again = capsys.readouterr()
    assert "verified before" in again.out
    assert "licence" not in again.out
    assert len(mirror.asked) == 1


def test_check(mirror: Mirror, file: ModelFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Asks nobody."""
    assert main([*COMMAND, "--check"]) == 1
    assert "missing    vae/vae.safetensors" in capsys.readouterr().out
    assert not (tmp_path / "our models").exists()
    assert main(COMMAND) == 0
    assert main([*COMMAND, "--check"]) == 0
    assert "there      vae/vae.safetensors" in capsys.readouterr().out
    with target(tmp_path, file).open("r+b") as content:
        content.write(b"rust")
    assert main([*COMMAND, "--check"]) == 1
    assert "wrong      vae/vae.safetensors" in capsys.readouterr().out
    assert len(mirror.asked) == 1


def test_a_failure(mirror: Mirror, file: ModelFile, capsys: pytest.CaptureFixture[str]) -> None:
    mirror.will(file, servers.status(404))
    assert main(COMMAND) == 1
    shown = capsys.readouterr().out
    assert "the file is not there" in shown
    assert "Not right: 1 of 1 files" in shown


def test_a_token_is_never_shown(
    mirror: Mirror,
    file: ModelFile,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    caplog.set_level("DEBUG")
    mirror.will(file, servers.status(403))
    assert main(COMMAND) == 1
    assert mirror.asked[0].headers["authorization"] == "Bearer hf_secret"
    monkeypatch.setenv("HF_TOKEN", "hf_secret\n")
    assert main(COMMAND) == 0
    monkeypatch.setenv("HF_TOKEN", "hf_secret\nX-Other: 1")
    assert main([*COMMAND, "--unpinned"]) == 1
    shown = capsys.readouterr()
    assert "hf_secret" not in shown.out + shown.err + caplog.text


def test_an_address_that_is_none(
    file: ModelFile, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "me:password@mirror")
    assert main(COMMAND) == 1
    shown = capsys.readouterr().err
    assert "HF_ENDPOINT is no address" in shown
    assert "password" not in shown


@pytest.mark.parametrize("folder", ["/proc/vtryon", "/dev/null", "/dev/null/models", "x" * 300])
def test_a_folder_that_is_none(
    file: ModelFile, folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_DIR", folder)
    assert main(COMMAND) == 1
    assert folder in capsys.readouterr().err


@pytest.mark.parametrize("count", ["0", "17", "x", "-1"])
def test_a_number_that_is_none(count: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*COMMAND, "--parallel", count])
    assert ended.value.code == 2


def test_it_needs_no_pytorch() -> None:
    """The slim image has none, and no ComfyUI."""
    look = "import sys, orchestrator.cli.model_downloads; print({'torch', 'safetensors', 'numpy'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert done.stdout.strip() == "set()"


# ---- as processes


@contextmanager
def running(file: ModelFile, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    script = str(Path(download_process.__file__))
    process = subprocess.Popen(
        [sys.executable, script, json.dumps(asdict(file)), *COMMAND, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def wait_for(process: "subprocess.Popen[str]", text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if re.search(text, line):
            return
    raise AssertionError(f"it never said {text!r}")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, STOPPED), (signal.SIGTERM, STOPPED)]
)
def test_a_process_that_is_ended(
    mirror: Mirror, file: ModelFile, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """What had arrived is kept, and the next one goes on from there."""
    mirror.will(file, servers.stall_after(2 * MB))
    with running(file) as process:
        wait_for(process, r" 4\d %")
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == code
        assert ("run it again to go on" in said) == (code == STOPPED)
        assert "Traceback" not in said
    assert not target(tmp_path, file).exists()
    assert main(COMMAND) == 0
    assert target(tmp_path, file).read_bytes() == mirror.content(file)
    whole, rest = mirror.ranges(file)
    assert whole is None
    assert MB < int(str(rest).strip("bytes=-")) <= 2 * MB
    assert sorted(path.name for path in (tmp_path / "our models").rglob("*") if path.is_file()) == [
        ".download.lock",
        ".verified.json",
        file.name,
    ]


def test_two_processes_at_once(mirror: Mirror, file: ModelFile, tmp_path: Path) -> None:
    mirror.will(file, servers.stall_after(MB))
    with running(file) as first:
        wait_for(first, r" [12]\d %")
        with running(file) as second:
            wait_for(second, "waiting for it")
            mirror.released.set()
            for process, remark in ((first, "fetched"), (second, "verified before")):
                out, _ = process.communicate(timeout=PATIENCE)
                assert process.returncode == 0
                assert remark in out
    assert len(mirror.asked) == 1
    assert target(tmp_path, file).read_bytes() == mirror.content(file)
