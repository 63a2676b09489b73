"""What a caller wants, and the requests that are made of it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.gateway.errors import CallbackNotAllowedError
from orchestrator.gateway.intake import FIELDS, Intake, split, tryon_ids
from orchestrator.gateway.settings import GatewayConfig
from orchestrator.gateway.uploads import Uploads
from orchestrator.models import TryOnRequest
from shared_utils.errors import ImageNotFoundError, InvalidRequestError, PathNotAllowedError
from tests.orchestrator.gateway.drawn import picture
from tests.orchestrator.gateway.house import SECRET


class Door:
    """Takes in what a test gives, from a storage of its own."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.storage = folder / "storage"
        self.storage.mkdir()
        self.config = GatewayConfig(
            gateway_upload_dir=folder / "uploads", intermediate_dir=self.storage / "intermediate", **settings
        )
        self.uploads = Uploads(self.config)
        self.person = self.uploads.store(picture())
        self.garments = [self.uploads.store(picture(colour=colour)) for colour in ("red", "blue")]

    def take(
        self, garments: Sequence[str] | None = None, key: str | None = None, owner: str = "ann", **fields: Any
    ) -> list[dict[str, Any]]:
        wanted = {"person_image_path": self.person} | fields
        chosen = self.garments[:1] if garments is None else garments
        return Intake(self.config, self.uploads).requests(wanted, chosen, key, owner)


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


@pytest.fixture
def open_door(tmp_path: Path) -> Door:
    """One that takes paths, too."""
    return Door(tmp_path, storage_roots=[tmp_path / "storage"])


def test_nothing_is_in_it_that_was_not_given(door: Door) -> None:
    (request,) = door.take(seed="7", prompt=None)
    ids = {name: request.pop(name) for name in ("request_id", "correlation_id", "timestamp")}
    assert request == {"person_image_path": door.person, "garment_image_path": door.garments[0], "seed": 7}
    assert TryOnRequest.model_validate(request | ids).correlation_id == ids["correlation_id"]


def test_one_for_each_garment(door: Door) -> None:
    requests = door.take(door.garments, seed=7)
    assert [request["garment_image_path"] for request in requests] == door.garments
    assert len({request["correlation_id"] for request in requests}) == 2


def test_ids_without_a_key_are_new_each_time(door: Door) -> None:
    assert door.take()[0]["correlation_id"] != door.take()[0]["correlation_id"]


def test_ids_with_a_key_are_the_same_everywhere(door: Door) -> None:
    first, again = door.take(door.garments, key="k", seed="7"), door.take(door.garments, key="k", seed=7)
    assert [{**each, "timestamp": ""} for each in first] == [{**each, "timestamp": ""} for each in again]
    assert [request["correlation_id"] for request in first] == tryon_ids("ann", "k", 2)
    others = [door.take(key="k", owner="bob"), door.take(key="l")]
    assert not {each["correlation_id"] for each in first} & {each["correlation_id"] for two in others for each in two}


@pytest.mark.parametrize("change", [{"seed": 8}, {"prompt": "other"}, {"garments": 2}, {"cfg": 1.0}])
def test_another_request_has_another_digest(door: Door, change: dict[str, Any]) -> None:
    fields = {"seed": 7} | change
    garments = door.garments[: fields.pop("garments", 1)]
    first, other = door.take(key="k", seed=7)[0], door.take(garments, key="k", **fields)[0]
    assert (first["correlation_id"], first["request_id"]) != (other["correlation_id"], other["request_id"])
    assert first["correlation_id"] == other["correlation_id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "größer", "a\nb", "\x00"])
def test_bad_keys(door: Door, key: str) -> None:
    with pytest.raises(InvalidRequestError, match="Idempotency-Key"):
        door.take(key=key)


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 3},
        {"Prompt": "a"},
        {"garment_image_path": "x"},
        {"correlation_id": "mine"},
        {"request_id": "mine"},
        {"timestamp": 0},
        {"x" * 5000: 1},
        {"steps": 0},
        {"cfg": "much"},
        {"seed": 2**64},
        {"unet_model_name": "../../etc/passwd"},
        {"output_format": "gif"},
        {"prompt": "x" * 8193},
        {"prompt": ["a"]},
        {"prompt": "a\x00b"},
        {"person_image_path": "/a\x00b"},
        {"person_image_path": "/" + "x" * 4096},
        {"person_image_path": 3},
        {"callback_url": "ftp://example.org"},
    ],
)
def test_bad_fields(door: Door, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        door.take(**fields)
    assert next(iter(fields))[:70] in refused.value.message
    assert len(refused.value.message) < 2000


def test_unknown_fields_are_told_from_known_ones(door: Door) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        door.take(size=3)
    assert all(name in refused.value.message for name in FIELDS)


def test_no_garment(door: Door) -> None:
    with pytest.raises(InvalidRequestError, match="garment_image_path is missing"):
        door.take([])


def test_too_many_garments(door: Door) -> None:
    with pytest.raises(InvalidRequestError, match="GATEWAY_MAX_GARMENTS"):
        door.take(["x"] * 101)


def test_several_pictures_cannot_have_one_name(door: Door) -> None:
    with pytest.raises(InvalidRequestError, match="output_filename"):
        door.take(door.garments, output_filename="a.png")


@pytest.mark.parametrize("name", ["../a.png", "a/b.png", "..", "a\\b.png", "x" * 300])
def test_a_file_name_stays_in_its_folder(door: Door, name: str) -> None:
    with pytest.raises(PathNotAllowedError):
        door.take(output_filename=name)


@pytest.mark.parametrize("field", ["person_image_path", "mask_image_path", "output_dir"])
def test_without_storage_roots_no_path_is_taken(door: Door, field: str) -> None:
    (door.storage / "file").write_bytes(picture())
    with pytest.raises(PathNotAllowedError, match="STORAGE_ROOTS"):
        door.take(**{field: str(door.storage / "file")})


def test_paths_inside_the_storage_roots_are_made_absolute(open_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    (open_door.storage / "p.png").write_bytes(picture())
    (open_door.storage / "link.png").symlink_to("p.png")
    monkeypatch.chdir(open_door.storage)
    (request,) = open_door.take(["link.png"], person_image_path="./p.png", output_dir="out")
    real = str(open_door.storage.resolve() / "p.png")
    assert request["person_image_path"] == request["garment_image_path"] == real
    assert request["output_dir"] == str(open_door.storage.resolve() / "out")


@pytest.mark.parametrize("path", ["/etc/passwd", "{storage}/../other.png", "{storage}/out.png", "~/p.png", "p.png"])
def test_paths_outside_of_them_are_not(open_door: Door, path: str) -> None:
    (open_door.storage / "out.png").symlink_to("/etc/passwd")
    with pytest.raises(PathNotAllowedError):
        open_door.take(person_image_path=path.format(storage=open_door.storage))
    with pytest.raises(PathNotAllowedError):
        open_door.take([path.format(storage=open_door.storage)])
    with pytest.raises(PathNotAllowedError):
        open_door.take(output_dir=path.format(storage=open_door.storage))


@pytest.mark.parametrize("name", ["missing.png", "", "folder"])
def test_a_picture_has_to_be_there(open_door: Door, name: str) -> None:
    (open_door.storage / "folder").mkdir()
    with pytest.raises(ImageNotFoundError, match=re.escape("(mask_image_path)")):
        open_door.take(mask_image_path=f"{open_door.storage}/{name}")


def test_an_upload_that_is_not_there_is_none(door: Door) -> None:
    with pytest.raises(ImageNotFoundError):
        door.take([str(door.uploads.folder / f"{'0' * 64}.png")])


def test_pictures_do_not_go_where_files_of_vtryon_are(tmp_path: Path) -> None:
    door = Door(tmp_path, storage_roots=[tmp_path])
    for folder in (door.uploads.folder, door.uploads.folder / "deeper", door.config.intermediate_dir):
        with pytest.raises(PathNotAllowedError, match="its own files"):
            door.take(output_dir=str(folder))


def test_a_callback_to_a_clouds_metadata(tmp_path: Path) -> None:
    door = Door(tmp_path, webhook_secret=SECRET)
    with pytest.raises(CallbackNotAllowedError, match=r"169\.254"):
        door.take(callback_url="http://169.254.169.254/latest/meta-data/")


@pytest.mark.parametrize(
    ("fields", "garments"),
    [
        ({}, []),
        ({"garment_image_path": None}, []),
        ({"garment_image_path": "a"}, ["a"]),
        ({"garment_image_paths": ["a", "b"]}, ["a", "b"]),
        ({"garment_image_path": "a", "garment_image_paths": None}, ["a"]),
    ],
)
def test_garments_apart_from_the_rest(fields: dict[str, Any], garments: list[str]) -> None:
    assert split({"seed": 7} | fields) == ({"seed": 7}, garments)


@pytest.mark.parametrize(
    "fields", [{"garment_image_path": "a", "garment_image_paths": ["b"]}, {"garment_image_paths": "a"}]
)
def test_garments_that_are_not_clear(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match="garment_image_paths"):
        split(fields)
