"""A picture is decoded to its end before anybody works on it, and the same one not once more."""

from pathlib import Path

import pytest
from PIL import Image

from shared_utils.artifacts import images
from shared_utils.artifacts.images import checked_picture
from shared_utils.errors import ImageInvalidError
from shared_utils.settings import Settings

SETTINGS = Settings()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which pictures were opened to be decoded."""
    names: list[str] = []
    usual = images._opened

    def noted(name: str, *rest: object) -> Image.Image:
        names.append(name)
        return usual(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "_opened", noted)
    monkeypatch.setattr(images, "_found_whole", {})
    return names


def picture(file: Path, red: int = 0) -> str:
    Image.new("RGB", (40, 30), (red, 0, 0)).save(file)
    return str(file)


def test_the_same_picture_is_decoded_once_under_any_name(tmp_path: Path, opened: list[str]) -> None:
    first, same, other = (picture(tmp_path / name, red) for name, red in (("a.png", 0), ("b.png", 0), ("c.png", 9)))
    checked = [checked_picture(name, SETTINGS) for name in (first, same, other)]
    assert opened == [first, other]
    assert checked[1].parts == checked[0].parts != checked[2].parts
    assert checked[1].path == same


def test_another_picture_under_a_known_name_is_decoded(tmp_path: Path, opened: list[str]) -> None:
    name = picture(tmp_path / "a.png")
    checked_picture(name, SETTINGS)
    picture(tmp_path / "a.png", red=9)
    checked_picture(name, SETTINGS)
    assert opened == [name, name]


def test_a_damaged_one_is_refused_each_time(tmp_path: Path, opened: list[str]) -> None:
    whole = Path(picture(tmp_path / "a.png"))
    checked_picture(str(whole), SETTINGS)
    whole.write_bytes(whole.read_bytes()[:-30])
    for _ in range(2):
        with pytest.raises(ImageInvalidError):
            checked_picture(str(whole), SETTINGS)


def test_a_tighter_bound_is_held_against_it(tmp_path: Path, opened: list[str]) -> None:
    name = picture(tmp_path / "a.png")
    checked_picture(name, SETTINGS)
    with pytest.raises(ImageInvalidError, match="MAX_IMAGE_MEGAPIXELS"):
        checked_picture(name, Settings(max_image_megapixels=0.001))


def test_few_are_remembered(tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MOST_REMEMBERED", 2)
    names = [picture(tmp_path / f"{red}.png", red) for red in range(3)]
    for name in (*names, names[2], names[0]):
        checked_picture(name, SETTINGS)
    assert opened == [*names, names[0]]
