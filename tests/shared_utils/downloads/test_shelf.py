"""What lies in the model folder already, and the disk under it."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from shared_utils.comfy.miniature import MARK, write_miniatures
from shared_utils.comfy.runtime import Comfy
from shared_utils.downloads.download import Outcome, verified
from shared_utils.downloads.files import WORKFLOW, ModelFile
from shared_utils.downloads.shelf import MINIATURE_MARK, State, look
from shared_utils.errors import StorageFullError
from tests.conftest import SMALL
from tests.shared_utils.downloads import mirror as servers
from tests.shared_utils.downloads.conftest import Check, Downloading
from tests.shared_utils.downloads.mirror import MB, Mirror

NAME = "vae.safetensors"


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def checked(file: ModelFile, downloading: Downloading) -> Outcome:
    return asyncio.run(verified(file, downloading.models, downloading.told))


def put(file: ModelFile, downloading: Downloading, content: bytes) -> Path:
    target = downloading.models / file.label
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def test_what_is_verified_is_not_read_again(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    file = mirror.has(NAME)
    (outcome,) = downloading(file)
    assert look(file, downloading.models) is State.THERE
    downloading.told.done.clear()
    (outcome,) = downloading(file)
    whole(file, outcome)
    assert outcome.remark == "verified before"
    assert downloading.told.done == {}
    assert len(mirror.asked) == 1


def test_a_file_that_somebody_put_there(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    file = mirror.has(NAME)
    put(file, downloading, mirror.content(file))
    (outcome,) = downloading(file)
    whole(file, outcome)
    assert mirror.asked == []
    assert downloading.told.done[f"checking vae/{NAME}"][-1] == file.size


def test_a_file_that_is_damaged_on_the_disk(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    """Found by --check though its size and time are those of before; replaced only when that is wished for."""
    file = mirror.has(NAME)
    downloading(file)
    assert checked(file, downloading).good
    target = downloading.models / file.label
    times = target.stat()
    with target.open("r+b") as content:
        content.seek(MB)
        content.write(b"rust")
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    outcome = checked(file, downloading)
    assert (outcome.state, outcome.good) == ("wrong", False)
    assert "--force" in outcome.remark
    damaged = target.read_bytes()
    (outcome,) = downloading(file)
    assert not outcome.good
    assert target.read_bytes() == damaged
    (outcome,) = downloading(file, force=True)
    whole(file, outcome)
    assert checked(file, downloading).good


def test_check_names_what_is_missing(mirror: Mirror, downloading: Downloading) -> None:
    outcome = checked(mirror.has(NAME), downloading)
    assert (outcome.state, outcome.good) == ("missing", False)
    assert "vtryon models download" in outcome.remark


@pytest.mark.parametrize("content", [b"", b"x", b"twenty gigabytes", b"\xff" * 20, b"\2" + bytes(7) + b"[]"])
def test_another_file_is_not_replaced(mirror: Mirror, downloading: Downloading, whole: Check, content: bytes) -> None:
    file = mirror.has(NAME)
    target = put(file, downloading, content)
    (outcome,) = downloading(file)
    assert (outcome.state, outcome.good) == ("in the way", False)
    assert not checked(file, downloading).good
    assert target.read_bytes() == content
    assert mirror.asked == []
    (outcome,) = downloading(file, force=True)
    whole(file, outcome)


def test_what_fails_leaves_what_was_there(mirror: Mirror, downloading: Downloading) -> None:
    file = mirror.has(NAME)
    target = put(file, downloading, b"somebody's own")
    mirror.put(file, bytes(file.size))
    (outcome,) = downloading(file, force=True)
    assert not outcome.good
    assert target.read_bytes() == b"somebody's own"


def test_a_folder_in_its_place(mirror: Mirror, downloading: Downloading) -> None:
    file = mirror.has(NAME)
    (downloading.models / file.label).mkdir(parents=True)
    for force in (False, True):
        (outcome,) = downloading(file, force=force)
        assert "is no file: move it away" in outcome.remark


def test_miniatures_stay_unless_forced(comfy: Comfy, mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    write_miniatures(comfy, downloading.models, sizes=SMALL)
    assert {look(file, downloading.models) for file in WORKFLOW} == {State.MINIATURE}
    assert MINIATURE_MARK in MARK
    for name in ("diffusion_models", "text_encoders", "loras"):
        shutil.rmtree(downloading.models / name)
    file = mirror.has(WORKFLOW[2].name)
    (outcome,) = downloading(file)
    assert "--force replaces it" in outcome.remark
    assert look(file, downloading.models) is State.MINIATURE
    assert checked(file, downloading).state == "miniature"
    (outcome,) = downloading(file, force=True)
    whole(file, outcome)


def test_the_older_name_of_a_folder(tmp_path: Path) -> None:
    file = WORKFLOW[1]
    assert file.target(tmp_path) == tmp_path / "text_encoders" / file.name
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / file.name).touch()
    assert file.target(tmp_path) == tmp_path / "clip" / file.name


def test_too_little_room(mirror: Mirror, downloading: Downloading, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two files on one disk, and before anything comes; what is there already counts."""
    one, other = mirror.has(NAME), mirror.has("lora.safetensors", folder="loras")
    monkeypatch.setattr("shared_utils.downloads.download.shutil.disk_usage", lambda folder: Usage(0, 0, 6 * MB - 1))
    with pytest.raises(StorageFullError, match=r"6\.3 MB are still to be downloaded.*Nothing was downloaded"):
        downloading(one, other)
    assert mirror.asked == []
    mirror.will(one, servers.cut_after(MB), *[servers.reset] * 3)
    downloading(one)
    (outcome, _) = downloading(one, other)
    assert outcome.good


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB, if this user may make one."""
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or unmount is None:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    made = [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    mounted = subprocess.run(made, check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small file system is not permitted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([unmount, folder], check=True)


def test_a_disk_that_fills_up(
    small_disk: Path, mirror: Mirror, downloading: Downloading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By somebody else, while the download goes on."""
    file = mirror.has(NAME)
    downloading.models = small_disk
    with pytest.raises(StorageFullError, match="Nothing was downloaded"):
        downloading(file)
    monkeypatch.setattr("shared_utils.downloads.download.shutil.disk_usage", lambda folder: Usage(0, 0, 10**12))
    (outcome,) = downloading(file)
    assert "No room left" in outcome.remark
    assert "is kept" in outcome.remark
    assert len(mirror.asked) == 1
    part = small_disk / "vae" / f".{NAME}.part"
    assert mirror.content(file).startswith(part.read_bytes())
    assert part.stat().st_size > MB


def test_a_part_that_was_damaged_on_the_disk(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.cut_after(MB), *[servers.reset] * 3)
    downloading(file)
    part = downloading.models / "vae" / f".{NAME}.part"
    with part.open("r+b") as content:
        content.write(b"rust")
    (outcome,) = downloading(file)
    whole(file, outcome)
    assert mirror.ranges(file)[-2:] == [f"bytes={MB}-", None]


@pytest.mark.parametrize("notes", [b"", b"[]", b'{"sha256": "another"}', b"\xff", b'{"sha256": 1, "etag": 2}'])
def test_a_part_of_something_else(mirror: Mirror, downloading: Downloading, whole: Check, notes: bytes) -> None:
    file = mirror.has(NAME)
    (downloading.models / "vae").mkdir(parents=True)
    (downloading.models / "vae" / f".{NAME}.part").write_bytes(bytes(MB))
    (downloading.models / "vae" / f".{NAME}.part.json").write_bytes(notes)
    (outcome,) = downloading(file)
    whole(file, outcome)
    assert mirror.ranges(file) == [None]


def test_several_files_side_by_side(mirror: Mirror, downloading: Downloading) -> None:
    """Both are under way at once; one that fails does not stop the other."""
    files = [mirror.has(f"{number}.safetensors", seed=number) for number in range(4)]
    mirror.will(files[0], servers.stall_after(MB))

    def release(turn: servers.Turn) -> None:
        assert mirror.stalled.wait(servers.PATIENCE)
        mirror.released.set()
        servers.good(turn)

    mirror.will(files[1], release)
    mirror.will(files[2], servers.status(404))
    outcomes = downloading(*files, side_by_side=2)
    assert [outcome.good for outcome in outcomes] == [True, True, False, True]
    verified_ones = json.loads((downloading.models / ".verified.json").read_bytes())
    assert verified_ones.keys() == {files[number].label for number in (0, 1, 3)}


def test_a_folder_that_cannot_be_written_to(mirror: Mirror, downloading: Downloading) -> None:
    downloading.models.mkdir()
    (downloading.models / "vae").write_text("in the way")
    (outcome,) = downloading(mirror.has(NAME))
    assert "Can't write to" in outcome.remark or "can't be" in outcome.remark
