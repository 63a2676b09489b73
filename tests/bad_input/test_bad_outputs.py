"""Where nothing can be written, or may be, nothing is: not a part of a file, and not some files of several."""

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.bad_input.conftest import Answered, Good, Refused
from tests.conftest import Stages

ALL = ("latent_encoder", "text_encoder", "sampling", "decoding")
each_stage = pytest.mark.parametrize("stage", ALL)


@pytest.fixture
def quick_text_encoder(stages: Stages, good: Good, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it encodes does not matter here, and takes ten seconds."""
    conditioning = torch.load(good.conditioning, weights_only=True)
    monkeypatch.setattr(type(stages.text_encoder), "_encode", lambda *_: conditioning)


def blocked(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file"


def loop(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


NO_FOLDER: dict[str, Callable[[Path], Path]] = {
    "a file": blocked,
    "below a file": lambda folder: blocked(folder) / "out",
    "far below a file": lambda folder: blocked(folder) / "a" / "b" / "out",
    "below /proc": lambda folder: Path("/proc/vtryon/out"),
    "/proc itself": lambda folder: Path("/proc"),
    "a device": lambda folder: Path("/dev/null"),
    "a link to itself": loop,
    "a name that is too long": lambda folder: folder / ("x" * 300),
}


@each_stage
@pytest.mark.parametrize("case", NO_FOLDER)
@pytest.mark.usefixtures("quick_text_encoder")
def test_no_folder(stages: Stages, refused: Refused, tmp_path: Path, stage: str, case: str) -> None:
    folder = str(NO_FOLDER[case](tmp_path))
    refused(getattr(stages, stage), "OUTPUT_DIR_NOT_WRITABLE", folder, output_dir=folder)


@each_stage
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.usefixtures("quick_text_encoder")
def test_write_protected_folder(stages: Stages, refused: Refused, tmp_path: Path, stage: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir(mode=0o555)
    refused(getattr(stages, stage), "OUTPUT_DIR_NOT_WRITABLE", str(folder), output_dir=str(folder))
    refused(getattr(stages, stage), "OUTPUT_DIR_NOT_WRITABLE", str(folder), output_dir=str(folder / "new"))


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process grows beyond that: a write fails as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# 1000 bytes are enough for the scaled picture, which is of one colour, and for the metadata, not for a tensor.
@pytest.mark.parametrize("size", [100, 1000])
@each_stage
@pytest.mark.usefixtures("quick_text_encoder")
def test_no_room_for_a_file(stages: Stages, refused: Refused, stage: str, size: int) -> None:
    """Whatever it strikes, ComfyUI's private copies of the pictures included, there is no room, and there may be."""
    with largest_file(size):
        failure = refused(getattr(stages, stage), "STORAGE_FULL")
    assert failure.retryable


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB, if this user may make one."""
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or unmount is None:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small file system is not permitted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([unmount, folder], check=True)


def fill(disk: Path, free_kb: int) -> None:
    (disk / "fill").write_bytes(bytes(64 * 1024 - free_kb * 1024))


@each_stage
@pytest.mark.usefixtures("quick_text_encoder")
def test_read_only_file_system(stages: Stages, refused: Refused, small_disk: Path, stage: str) -> None:
    """What write protection is to root."""
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for folder in (small_disk, small_disk / "new"):
        refused(getattr(stages, stage), "OUTPUT_DIR_NOT_WRITABLE", str(folder), output_dir=str(folder))


# With 4 kB free the first of a request's files fits; with 8 kB the first two of the latent encoder.
@pytest.mark.parametrize("free_kb", [0, 4, 8])
@each_stage
@pytest.mark.usefixtures("quick_text_encoder")
def test_full_disk(stages: Stages, refused: Refused, small_disk: Path, stage: str, free_kb: int) -> None:
    fill(small_disk, free_kb)
    failure = refused(getattr(stages, stage), "STORAGE_FULL", str(small_disk), output_dir=str(small_disk))
    assert failure.retryable
    assert [path.name for path in small_disk.iterdir()] == ["fill"]


@pytest.mark.usefixtures("quick_text_encoder")
def test_room_for_one_encoding_of_two(stages: Stages, refused: Refused, small_disk: Path) -> None:
    """A positive encoding without its negative one is no result."""
    fill(small_disk, 24)
    refused(stages.text_encoder, "STORAGE_FULL", str(small_disk), output_dir=str(small_disk))


@each_stage
@pytest.mark.usefixtures("quick_text_encoder")
def test_trying_again_when_there_is_room(
    stages: Stages, refused: Refused, answered: Answered, small_disk: Path, stage: str
) -> None:
    fill(small_disk, 0)
    again: dict[str, Any] = {"output_dir": str(small_disk), "request_id": "again"}
    refused(getattr(stages, stage), "STORAGE_FULL", **again)
    (small_disk / "fill").unlink()
    answered(getattr(stages, stage), **again)


@pytest.mark.parametrize("free_kb", [0, 4])
@each_stage
@pytest.mark.usefixtures("quick_text_encoder")
def test_former_result_outlives_a_failure(
    stages: Stages, refused: Refused, answered: Answered, small_disk: Path, stage: str, free_kb: int
) -> None:
    """All of it: metadata of one run beside the tensor of another would be a lie. (`refused` looks at the times.)"""
    again: dict[str, Any] = {"output_dir": str(small_disk), "request_id": "again"}
    answered(getattr(stages, stage), **again)
    used = sum((path.stat().st_size + 4095) // 4096 * 4096 for path in small_disk.iterdir())
    (small_disk / "fill").write_bytes(bytes(64 * 1024 - used - free_kb * 1024))
    refused(getattr(stages, stage), "STORAGE_FULL", **again)


LEADING_OUT = ["../x.png", "/x.png", "a/b.png", "a\\b.png", "..", ".", "", "a\nb.png", "\x1b[2J.png", "\u202egnp.x"]
LEADING_OUT += ["\udcff.png"]  # a byte that is no UTF-8


@pytest.mark.parametrize("name", LEADING_OUT, ids=ascii)
def test_file_name_that_is_none(stages: Stages, refused: Refused, name: str) -> None:
    refused(stages.decoding, "PATH_NOT_ALLOWED", f"output_filename={name!r}", output_filename=name)


def test_file_name_with_nul(stages: Stages, refused: Refused) -> None:
    refused(stages.decoding, "INVALID_REQUEST", "output_filename=", output_filename="a\x00b.png")


@pytest.mark.parametrize("name", ["x" * 201, "x" * 300, "ü" * 150])
def test_file_name_that_is_too_long(stages: Stages, refused: Refused, name: str) -> None:
    """File systems count bytes, not characters."""
    refused(stages.decoding, "PATH_NOT_ALLOWED", f"output_filename={name!r}", output_filename=name)


def test_folder_under_that_file_name(stages: Stages, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "out" / "x.png").mkdir(parents=True)
    refused(stages.decoding, "OUTPUT_DIR_NOT_WRITABLE", str(tmp_path / "out"), output_filename="x.png")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("x.png", "x.png"),
        ("x", "x.png"),
        ("x.y", "x.y.png"),
        (".hidden", ".hidden.png"),
        ("...", "....png"),
        ("-rf", "-rf.png"),
        ("ünicode & blanks", "ünicode & blanks.png"),
        ("x" * 200, "x" * 200 + ".png"),
        ("X.JPG", "X.JPG"),
    ],
)
def test_odd_but_fine_file_names(stages: Stages, answered: Answered, tmp_path: Path, name: str, written: str) -> None:
    response = answered(stages.decoding, output_filename=name)
    assert response.image_path == str(tmp_path / "out" / written)
    assert Path(response.image_path).is_file()


def test_longest_request_id(stages: Stages, answered: Answered) -> None:
    name = "x" * 128
    assert name in answered(stages.decoding, request_id=name).image_path


@pytest.fixture
def storage(tmp_path: Path, good: Good) -> Path:
    """The one folder in which files may be; beside it one in which they may not."""
    root = tmp_path / "storage"
    outside = tmp_path / "outside"
    for folder in (root, outside):
        folder.mkdir()
        for file in (good.picture, good.latent, good.conditioning):
            shutil.copy(file, folder)
    for name in ("picture.png", "latent.pt", "conditioning.pt"):
        (root / f"link-{name}").symlink_to(outside / name)
    (root / "linked").symlink_to(outside)
    return root


@pytest.fixture
def confined(make_stages: Callable[..., Stages], model_dir: Path, storage: Path) -> Stages:
    return make_stages(model_dir=model_dir, storage_roots=[storage])


def inside(storage: Path, good: Good, stage: str) -> dict[str, Any]:
    """The good request with all its files in the storage."""
    moved = {file: str(storage / Path(file).name) for file in (good.picture, good.latent, good.conditioning)}
    request = {field: moved.get(str(value), value) for field, value in good.request(stage).items()}
    return {**request, "output_dir": str(storage / "out")}


INPUTS = [
    ("latent_encoder", "image_path", "picture.png"),
    ("text_encoder", "image1_path", "picture.png"),
    ("text_encoder", "image2_path", "picture.png"),
    ("text_encoder", "image3_path", "picture.png"),
    ("sampling", "positive_encoding", "conditioning.pt"),
    ("sampling", "negative_encoding", "conditioning.pt"),
    ("sampling", "latent_image", "latent.pt"),
    ("decoding", "latent_path", "latent.pt"),
]


@pytest.mark.parametrize(
    "way", ["{outside}/{name}", "{root}/../outside/{name}", "{root}/link-{name}", "{root}/linked/{name}", "{outside}/-"]
)
@pytest.mark.parametrize(("stage", "field", "name"), INPUTS)
def test_input_outside_the_storage(
    confined: Stages, refused: Refused, storage: Path, good: Good, stage: str, field: str, name: str, way: str
) -> None:
    """Whether there is such a file is not said either."""
    path = way.format(outside=storage.parent / "outside", root=storage, name=name)
    changes = {**inside(storage, good, stage), field: path}
    refused(getattr(confined, stage), "PATH_NOT_ALLOWED", path, "STORAGE_ROOTS", **changes)


@pytest.mark.parametrize(
    "way", ["{outside}", "{outside}/new", "{root}/../outside", "{root}/linked", "{root}/linked/new", "{root}2"]
)
@each_stage
def test_output_outside_the_storage(
    confined: Stages, refused: Refused, storage: Path, good: Good, stage: str, way: str
) -> None:
    path = way.format(outside=storage.parent / "outside", root=storage)
    changes = {**inside(storage, good, stage), "output_dir": path}
    refused(getattr(confined, stage), "PATH_NOT_ALLOWED", path, "STORAGE_ROOTS", **changes)
    assert not (storage.parent / "outside" / "new").exists()
    assert not storage.with_name("storage2").exists()


@each_stage
@pytest.mark.usefixtures("quick_text_encoder")
def test_inside_the_storage(confined: Stages, answered: Answered, storage: Path, good: Good, stage: str) -> None:
    answered(getattr(confined, stage), **inside(storage, good, stage))
    assert list((storage / "out").iterdir())


def test_relative_paths_inside_the_storage(
    confined: Stages, answered: Answered, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(storage)
    answered(confined.decoding, latent_path="latent.pt", output_dir="out")
    answered(confined.decoding, latent_path="linked/../storage/latent.pt", output_dir=".")
