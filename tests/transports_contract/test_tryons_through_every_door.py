"""The same try-on gives the same picture, bit for bit, or the same code, whichever way it is asked for."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from shared_utils.stage import Stage
from tests.bad_input.conftest import RED
from tests.bad_input.test_bad_pictures import half, noise
from tests.transports_contract.tryon_doors import TRYON_DOORS, Asked, House, Outcome, TryOnDoor, house_with

GREEN = (0, 255, 0)
each_door = pytest.mark.parametrize("door", [kind() for kind in TRYON_DOORS], ids=lambda door: door.name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tryons")


@pytest.fixture(scope="module")
def house(behind: dict[str, Stage], folder: Path) -> Iterator[House]:
    with house_with(behind, folder / "house") as made:
        yield made


@pytest.fixture(scope="module")
def asked(folder: Path) -> Asked:
    Image.new("RGB", (96, 64), GREEN).save(folder / "person.png")
    Image.new("RGB", (64, 96), RED).save(folder / "garment.png")
    return Asked(folder / "person.png", folder / "garment.png", {"megapixels": 0.01, "steps": 1, "seed": 7})


@pytest.fixture(scope="module")
def pictures() -> dict[str, bytes]:
    """What came out, by door."""
    return {}


@each_door
def test_good(door: TryOnDoor, house: House, asked: Asked, pictures: dict[str, bytes]) -> None:
    """Whichever of them is asked first."""
    outcome = door.ask(house, asked)
    assert outcome.code is None
    assert outcome.picture is not None
    pictures[door.name] = outcome.picture
    assert set(pictures.values()) == {outcome.picture}


def file(folder: Path, content: bytes) -> Path:
    path = folder / "garment.png"
    path.write_bytes(content)
    return path


def thread(folder: Path) -> Path:
    Image.new("RGB", (1, 9000)).save(folder / "garment.png")
    return folder / "garment.png"


FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "steps": ({"steps": 0}, "INVALID_REQUEST"),
    "prompt": ({"prompt": "x" * 8193}, "INVALID_REQUEST"),
    "format": ({"output_format": "gif"}, "INVALID_REQUEST"),
    "model that leads out": ({"vae_model_name": "../x"}, "INVALID_REQUEST"),
    "unknown model": ({"vae_model_name": "gone.safetensors"}, "VAE_MODEL_NOT_FOUND"),
    "cut-off model": ({"clip_model_name": "half.safetensors"}, "CLIP_MODEL_INVALID"),
}
GARMENTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no picture": (lambda folder: file(folder, b"This is no picture."), "IMAGE_INVALID"),
    "half a picture": (lambda folder: file(folder, half(noise("PNG"))), "IMAGE_INVALID"),
    "a thread": (thread, "SCALING_FAILED"),
}


@each_door
@pytest.mark.parametrize("case", FIELDS)
def test_bad_fields(door: TryOnDoor, house: House, asked: Asked, case: str) -> None:
    fields, code = FIELDS[case]
    assert door.ask(house, Asked(asked.person, asked.garment, {**asked.fields, **fields})) == Outcome(code)


@each_door
@pytest.mark.parametrize("case", GARMENTS)
def test_bad_pictures(door: TryOnDoor, house: House, asked: Asked, folder: Path, case: str, tmp_path: Path) -> None:
    make, code = GARMENTS[case]
    room = folder / tmp_path.name  # where paths may lie
    room.mkdir()
    assert door.ask(house, Asked(asked.person, make(room), asked.fields)) == Outcome(code)
