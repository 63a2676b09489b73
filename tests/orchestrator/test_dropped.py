"""Which try-ons a job in a folder asks for, and when all of it is there."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.dropped import Dropped, parts_of, read
from shared_utils.errors import InvalidRequestError, PathNotAllowedError
from shared_utils.settings import Settings
from shared_utils.transports.files.jobs import Job


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "job"
    folder.mkdir()
    return folder


def dropped(folder: Path, *names: str, **fields: Any) -> Job:
    for name in names:
        (folder / name).touch()
    if fields:
        (folder / "job.json").write_text(json.dumps(fields))
    return Job(folder / "job.json", folder, is_folder=True)


def names(paths: list[Any]) -> list[str]:
    return [Path(path).name for path in paths]


def test_by_the_names_of_the_pictures(folder: Path) -> None:
    job = dropped(folder, "person.jpeg", "garment.png", "mask.png", "notes.txt", "garment.png.part", ".garment.png")
    found = read(job, Settings())
    pictures = {"person_image_path": str(folder / "person.jpeg"), "mask_image_path": str(folder / "mask.png")}
    assert found == Dropped(pictures, [str(folder / "garment.png")], listed=False)


def test_several_garments_in_the_order_of_their_names(folder: Path) -> None:
    job = dropped(folder, "Person.PNG", "garment_red.png", "garment-2.webp", "garment.jpg", "mygarment.png")
    found = read(job, Settings())
    assert names([found.fields["person_image_path"]]) == ["Person.PNG"]
    assert names(found.garments) == ["garment-2.webp", "garment.jpg", "garment_red.png"]


def test_what_the_job_says_goes_before_the_names(folder: Path) -> None:
    job = dropped(folder, "person.png", "garment.png", "ann.png", "red.png", seed=7, person_image_path="ann.png")
    found = read(job, Settings())
    assert (found.fields["seed"], names(found.garments), found.listed) == (7, ["garment.png"], False)
    assert found.fields["person_image_path"] == str(folder / "ann.png")
    job = dropped(folder, garment_image_paths=["red.png", "/shared/blue.png"])
    found = read(job, Settings())
    assert found.garments == [str(folder / "red.png"), "/shared/blue.png"]
    assert found.listed


def test_a_job_file_has_what_it_names_alone(folder: Path) -> None:
    for name in ("person.png", "garment.png"):
        (folder / name).touch()
    file = folder / "a.json"
    file.write_text(json.dumps({"person_image_path": "ann.png", "garment_image_path": "red.png"}))
    found = read(Job(file, folder, is_folder=False), Settings())
    assert found == Dropped({"person_image_path": str(folder / "ann.png")}, [str(folder / "red.png")], listed=True)


@pytest.mark.parametrize(
    ("pictures", "fields", "said"),
    [
        (["person.png", "person.jpg", "garment.png"], {}, "person.jpg and person.png"),
        (["person.png", "garment.png", "mask.png", "mask.jpg"], {}, "mask.jpg and mask.png"),
        (["person.png"], {"garment_image_path": "a", "garment_image_paths": ["b"]}, "either"),
        (["person.png"], {"garment_image_paths": "b"}, "no list"),
    ],
)
def test_what_can_not_be_meant(folder: Path, pictures: list[str], fields: dict[str, Any], said: str) -> None:
    job = dropped(folder, *pictures, **fields)
    with pytest.raises(InvalidRequestError, match=said):
        read(job, Settings())
    assert parts_of(job, Settings()) is None


@pytest.mark.parametrize(
    "fields",
    [{"person_image_path": "../a.png"}, {"garment_image_paths": ["../a.png"]}, {"mask_image_path": "../a.png"}],
)
def test_nothing_leads_out(folder: Path, fields: dict[str, Any]) -> None:
    with pytest.raises(PathNotAllowedError):
        read(dropped(folder, "person.png", "garment.png", **fields), Settings())


def test_a_link_among_the_pictures_leads_out_too(folder: Path) -> None:
    job = dropped(folder, "person.png")
    (folder / "garment.png").symlink_to("/etc/passwd")
    with pytest.raises(PathNotAllowedError):
        read(job, Settings())


def test_what_is_waited_for(folder: Path) -> None:
    assert parts_of(dropped(folder), Settings()) is None
    assert parts_of(dropped(folder, "person.png"), Settings()) is None
    some = parts_of(dropped(folder, "garment.png"), Settings())
    assert some is not None
    assert (names(list(some.files)), some.complete) == (["person.png", "garment.png"], False), "more may come"
    job = dropped(folder, garment_image_path="red.png", mask_image_path="/shared/mask.png")
    listed = parts_of(job, Settings())
    assert listed is not None
    assert (names(list(listed.files)), listed.complete) == (["person.png", "red.png"], True)
    (folder / "job.json").write_text('{"seed": ')
    assert parts_of(job, Settings()) is None
