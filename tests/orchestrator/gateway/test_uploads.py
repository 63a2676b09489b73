"""Uploaded pictures: what is kept, under which name, and what is left behind of the rest: nothing."""

import errno
import hashlib
import os
from pathlib import Path

import pytest
from PIL import Image

from orchestrator.gateway.settings import GatewayConfig
from orchestrator.gateway.uploads import Uploads
from shared_utils.errors import ImageInvalidError, InternalError, StorageFullError
from tests.orchestrator.gateway.drawn import picture


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(GatewayConfig(gateway_upload_dir=tmp_path / "uploads", max_image_megapixels=0.01))


def left(uploads: Uploads) -> list[str]:
    return sorted(file.name for file in uploads.folder.iterdir()) if uploads.folder.exists() else []


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_a_picture_has_the_name_of_its_content(uploads: Uploads, kind: str, suffix: str) -> None:
    content = picture(kind)
    path = Path(uploads.store(content))
    assert path == uploads.folder / f"{hashlib.sha256(content).hexdigest()}.{suffix}"
    assert path.read_bytes() == content
    assert uploads.holds(path)


def test_the_same_twice_is_one_file_and_new_again(uploads: Uploads) -> None:
    path = Path(uploads.store(picture()))
    os.utime(path, (0, 0))
    assert Path(uploads.store(picture())) == path
    assert path.stat().st_mtime > 0
    assert left(uploads) == [path.name]


def test_in_pieces(uploads: Uploads) -> None:
    content = picture()
    incoming = uploads.begin("person")
    for at in range(len(content)):
        incoming.write(content[at : at + 1])
    assert Path(incoming.keep()).read_bytes() == content
    incoming.give_up()
    assert len(left(uploads)) == 1


def test_a_phones_jpeg_with_a_second_picture_is_taken(uploads: Uploads) -> None:
    first = Image.new("RGB", (8, 6), "green")
    content = Path("mpo")
    first.save(content, "MPO", save_all=True, append_images=[Image.new("RGB", (4, 3))])
    assert uploads.store(content.read_bytes()).endswith(".jpg")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no PNG, JPEG or WebP"),
        (b"GIF89a" + bytes(20), "no PNG, JPEG or WebP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no PNG, JPEG or WebP"),
        (picture()[:20], "reading"),
        (picture(size=(1000, 1000)), "MAX_IMAGE_MEGAPIXELS"),
        (picture(save_all=True, append_images=[Image.new("RGB", (8, 6), "red")]), "animated"),
        (picture("WEBP", save_all=True, append_images=[Image.new("RGB", (8, 6), "red")]), "animated"),
    ],
)
def test_what_is_no_picture_leaves_nothing(uploads: Uploads, content: bytes, reason: str) -> None:
    with pytest.raises(ImageInvalidError, match=reason):
        uploads.store(content)
    assert left(uploads) == []


def test_what_is_given_up_leaves_nothing(uploads: Uploads) -> None:
    incoming = uploads.begin("person")
    incoming.write(picture())
    assert len(left(uploads)) == 1
    incoming.give_up()
    assert left(uploads) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InternalError, match="GATEWAY_UPLOAD_DIR"):
        Uploads(GatewayConfig(gateway_upload_dir=tmp_path / "file" / "uploads")).store(picture())


def test_a_full_disk_leaves_nothing(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFullError):
        uploads.store(picture())
    assert left(uploads) == []


@pytest.mark.parametrize(
    "path", ["x.png", f"{'0' * 64}.exe", f"../{'0' * 64}.png", f"{'0' * 63}.png", f"{'0' * 64}.png/x", ""]
)
def test_other_names_are_no_uploads(uploads: Uploads, path: str) -> None:
    assert not uploads.holds(uploads.folder / path)


def test_old_ones_are_swept_and_others_files_left_alone(uploads: Uploads) -> None:
    young = Path(uploads.store(picture(colour="red")))
    old = Path(uploads.store(picture()))
    crashed, foreign = uploads.folder / f".{'0' * 16}.part", uploads.folder / "notes.txt"
    for file in (crashed, foreign):
        file.touch()
    now = young.stat().st_mtime
    for file in (old, crashed, foreign):
        os.utime(file, (now - 169 * 3600,) * 2)
    assert uploads.sweep(lambda: now) == 2
    assert left(uploads) == sorted([young.name, foreign.name])


def test_there_may_be_nothing_to_sweep(uploads: Uploads) -> None:
    assert uploads.sweep() == 0
