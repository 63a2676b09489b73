"""What is being copied is left alone until it is whole, or until nothing has happened to it for a while."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from shared_utils.transports.files.entries import Entry, entries
from shared_utils.transports.files.settling import Settling
from shared_utils.transports.files.worker import Worker
from tests.conftest import Stages
from tests.shared_utils.transports.files.support import Clock, Folders

SETTLE = 10.0


def picture(form: str = "PNG") -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, form)
    return content.getvalue()


def tensor() -> bytes:
    content = io.BytesIO()
    torch.save(torch.zeros(1, 16, 1, 8, 8), content)
    return content.getvalue()


Ready = Callable[[], list[str]]


@pytest.fixture
def ready(folders: Folders, clock: Clock, stages: Stages) -> Ready:
    """The names of the jobs that a worker would take now."""
    settings = folders.settings(files_settle_seconds=SETTLE)
    worker = Worker(stages.latent_encoder, settings)
    settling = Settling(settings, worker.parts_of, clock)
    worker.close()
    return lambda: [entry.path.name for entry in entries(folders.inbox) if settling.ready(entry)]


def grow(file: Path, content: bytes, ready: Ready, clock: Clock, pieces: int = 5) -> None:
    """Copy it piece by piece, slowly: it is not ready before the last."""
    step = len(content) // pieces + 1
    for end in range(step, len(content), step):
        file.write_bytes(content[:end])
        assert ready() == [], f"{end} of {len(content)} bytes"
        clock.now += SETTLE - 1
        assert ready() == []
    file.write_bytes(content)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("order", ["the picture first", "the job first"])
def test_a_folder(folders: Folders, ready: Ready, clock: Clock, form: str, order: str) -> None:
    folder = folders.inbox / "job"
    folder.mkdir()
    assert ready() == []
    clock.now += 10 * SETTLE
    assert ready() == [], "an empty folder is left alone for ever"
    job = folder / "job.json", json.dumps({"image_path": "person.png"}).encode()
    files = [job, (folder / "person.png", picture(form))]
    for file, content in files if order == "the job first" else reversed(files):
        assert ready() == []
        grow(file, content, ready, clock)
    assert ready() == ["job"], "at once"


def test_a_job_file_and_its_picture_beside_it(folders: Folders, ready: Ready, clock: Clock) -> None:
    grow(folders.inbox / "job.json", json.dumps({"image_path": "person.png"}).encode(), ready, clock)
    assert ready() == []
    grow(folders.inbox / "person.png", picture(), ready, clock)
    assert ready() == ["job.json"]


def test_a_tensor(folders: Folders, ready: Ready, clock: Clock) -> None:
    folder = folders.drop_folder("job", image_path="latent.pt")
    grow(folder / "latent.pt", tensor(), ready, clock)
    assert ready() == ["job"]


def test_what_lies_elsewhere_is_not_waited_for(folders: Folders, ready: Ready) -> None:
    folders.drop("job", image_path=str(folders.folder / "missing.png"))
    assert ready() == ["job.json"]


UNWHOLE: dict[str, Callable[[Folders], Any]] = {
    "no JSON": lambda folders: (folders.inbox / "job.json").write_text('{"image_path": "pers'),
    "no object": lambda folders: (folders.inbox / "job.json").write_text("[]"),
    "empty": lambda folders: (folders.inbox / "job.json").touch(),
    "too large": lambda folders: os.truncate(folders.drop("job"), 10**9),
    "no picture": lambda folders: folders.drop("job", image_path="missing.png"),
    "half a picture": lambda folders: folders.drop_folder("job", {"a.png": picture()[:500]}, image_path="a.png"),
    "a folder for a picture": lambda folders: (folders.drop_folder("job", image_path="a") / "a").mkdir(),
    "a pipe for a picture": lambda folders: os.mkfifo(folders.drop_folder("job", image_path="a") / "a"),
    "a pipe": lambda folders: os.mkfifo(folders.inbox / "job.json"),
    "no job.json": lambda folders: (folders.drop_folder("job", {"a.png": picture()}) / "job.json").unlink(),
    "a link": lambda folders: (folders.inbox / "job.json").symlink_to("/etc/passwd"),
    "a path that leads out": lambda folders: folders.drop("job", image_path="../../etc/passwd"),
}


@pytest.mark.parametrize("case", UNWHOLE)
def test_what_stays_unwhole_is_taken_when_it_has_settled(
    folders: Folders, ready: Ready, clock: Clock, case: str
) -> None:
    UNWHOLE[case](folders)
    assert ready() == []
    clock.now += SETTLE - 0.1
    assert ready() == []
    clock.now += 0.1
    assert len(ready()) == 1


def test_a_change_anywhere_in_a_folder_counts(folders: Folders, ready: Ready, clock: Clock) -> None:
    deep = folders.drop_folder("job", image_path="missing.png") / "a" / "b"
    deep.mkdir(parents=True)
    for number in range(3):
        assert ready() == []
        clock.now += SETTLE - 1
        (deep / f"{number}.png").touch()
    assert ready() == []
    clock.now += SETTLE
    assert ready() == ["job"]


@pytest.mark.parametrize("name", [".job.json", "job.json.part", "job.json.tmp", "JOB.JSON.PART", "person.png", "job"])
def test_what_is_no_job_is_left_alone(folders: Folders, ready: Ready, clock: Clock, name: str) -> None:
    (folders.inbox / name).write_text("{}")
    (folders.inbox / "upload.part").mkdir()
    (folders.inbox / "upload.part" / "job.json").write_text("{}")
    half = folders.inbox / "folder"
    half.mkdir()
    (half / f".{name}").write_text("{}")
    (half / f"{name}.part").write_text("{}")
    for _ in range(2):
        assert ready() == []
        clock.now += 2 * SETTLE


def test_a_picture_is_read_again_only_when_it_has_changed(
    folders: Folders, ready: Ready, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def noted(file: Path) -> bool:
        read.append(file)
        return False

    monkeypatch.setattr("zipfile.is_zipfile", noted)
    folder = folders.drop_folder("job", {"a.png": picture()[:500]}, image_path="a.png")
    for _ in range(5):
        assert ready() == []
        clock.now += 1
    assert len(read) == 1
    (folder / "a.png").write_bytes(picture())
    assert ready() == ["job"]
    assert len(read) == 2


def test_ten_thousand_files_that_are_no_jobs_cost_a_look_at_their_names(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10_000):
        os.close(os.open(folders.inbox / f"{number}.png", os.O_CREAT | os.O_WRONLY))
    folders.drop("job")
    looked: list[Path] = []
    monkeypatch.setattr(Entry, "job", property(lambda entry: looked.append(entry.path)))
    monkeypatch.setattr(os, "stat", looked.append)
    monkeypatch.setattr(os, "lstat", looked.append)
    assert [entry.path.name for entry in entries(folders.inbox)] == ["job.json"]
    assert looked == []


def test_oldest_first(folders: Folders) -> None:
    for number, name in enumerate(["c", "a", "b"]):
        os.utime(folders.drop(name), (1000 + number, 1000 + number))
    assert [entry.path.name for entry in entries(folders.inbox)] == ["c.json", "a.json", "b.json"]
