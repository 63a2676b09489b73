"""What the brush does, and what is sent of it."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.screen import READY, Screen
from tests.browser.world import World

pytestmark = pytest.mark.browser

GREEN = (0, 255, 0)
ROTATED = 6
"""EXIF's word for a camera that was held upright: the picture is stored lying."""


def test_undo_redo_erase_and_clear(screen: Screen, examples: Path) -> None:
    page = screen.page
    screen.choose_photo(examples / "person.png")
    assert screen.painted() == 0
    screen.paint()
    first = screen.painted()
    assert 0.05 < first < 0.3
    screen.paint([(0.2, 0.8), (0.8, 0.8)])
    both = screen.painted()
    assert both > first

    page.get_by_role("button", name="Undo").click()
    assert screen.painted() == first
    page.get_by_role("button", name="Redo").click()
    assert screen.painted() == both

    page.get_by_text("Eraser", exact=True).click()
    screen.paint([(0.2, 0.8), (0.8, 0.8)])
    assert screen.painted() == pytest.approx(first, abs=0.001)

    page.get_by_role("button", name="Clear").click()
    assert screen.painted() == 0
    page.keyboard.press("Control+z")
    assert screen.painted() == pytest.approx(first, abs=0.001)


def test_the_brush_has_a_size(screen: Screen, examples: Path) -> None:
    screen.choose_photo(examples / "person.png")
    size = screen.page.get_by_role("slider", name="Brush size")
    size.fill("20")
    screen.paint([(0.2, 0.2), (0.8, 0.2)])
    thin = screen.painted()
    size.fill("90")
    screen.paint([(0.2, 0.7), (0.8, 0.7)])
    assert screen.painted() > 4 * thin


def test_what_is_sent_is_green_or_the_photo_and_nothing_between(screen: Screen, world: World, examples: Path) -> None:
    before = uploads(world)
    screen.fill_in(examples)
    # What has been sent before is not stored again.
    screen.paint([(0.45, 0.7), (0.55, 0.72)])
    screen.submit()
    screen.wait_for(READY)

    with Image.open(examples / "person.png") as original:
        photo = np.asarray(original.convert("RGB"))
    sent = [picture for name, picture in uploads(world).items() if name not in before and picture.shape == photo.shape]
    (mask,) = [picture for picture in sent if (picture[0, 0] == 0).all()]
    (person,) = [picture for picture in sent if (picture[0, 0] != 0).any()]
    inside = (mask == GREEN).all(axis=2)
    assert (mask[~inside] == 0).all()
    assert (person[inside] == GREEN).all()
    assert (person[~inside] == photo[~inside]).all()
    assert 0.05 < inside.mean() < 0.3
    assert inside[450, 384], "the chest"
    assert not inside[150, 384], "the face"


def uploads(world: World) -> dict[str, np.ndarray]:
    """The pictures that gateways have stored."""
    return {file.name: np.asarray(Image.open(file).convert("RGB")) for file in (world.folder / "uploads").glob("*.png")}


def test_a_large_photo_of_a_phone_is_turned_and_scaled(screen: Screen, world: World, examples: Path) -> None:
    with Image.open(examples / "person.png") as person:
        lying = person.convert("RGB").resize((3000, 4000)).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    file = io.BytesIO()
    lying.save(file, "JPEG", exif=exif)
    before = uploads(world)

    screen.choose_photo({"name": "IMG_0001.JPG", "mimeType": "image/jpeg", "buffer": file.getvalue()})
    box = screen.stage.bounding_box()
    assert box
    assert box["height"] / box["width"] == pytest.approx(4 / 3, abs=0.01)
    assert box["height"] < 900, "all of it is seen at once"
    screen.paint()
    screen.add_garments(examples / "garment.png")
    screen.submit()
    screen.wait_for(READY)
    (height, width), _ = {
        picture.shape[:2]: name for name, picture in uploads(world).items() if name not in before and picture.size > 1e6
    }.popitem()
    assert height / width == pytest.approx(4 / 3, abs=0.01)
    assert height * width <= 4 * 1024 * 1024 * 1.01


def test_a_green_area_that_is_there_already_will_do(screen: Screen, examples: Path) -> None:
    screen.choose_photo(examples / "person_masked.png")
    expect(screen.page.get_by_text("This photo has a green area already.")).to_be_visible()
    screen.add_garments(examples / "garment.png")
    screen.submit()
    screen.wait_for(READY)


def test_pictures_are_dropped_and_pasted(screen: Screen, examples: Path) -> None:
    bring(screen, "drop", examples / "person.png", "[data-drop=photo]")
    expect(screen.stage).to_be_visible()
    bring(screen, "drop", examples / "garment.png", "[data-drop=garments]")
    expect(screen.garments).to_have_count(1)
    bring(screen, "paste", examples / "garment_2.png", "body")
    expect(screen.garments).to_have_count(2)


def bring(screen: Screen, how: str, file: Path, to: str) -> None:
    """What the browser tells the page when a person drops or pastes a file."""
    screen.page.locator(to).first.evaluate(
        """(element, { how, name, content }) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const held = new DataTransfer();
            held.items.add(new File([bytes], name, { type: "image/png" }));
            const options = { bubbles: true, cancelable: true };
            element.dispatchEvent(
                how === "paste"
                    ? new ClipboardEvent("paste", { ...options, clipboardData: held })
                    : new DragEvent("drop", { ...options, dataTransfer: held }),
            );
        }""",
        {"how": how, "name": file.name, "content": base64.b64encode(file.read_bytes()).decode()},
    )
