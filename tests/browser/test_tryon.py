"""From a photo to the picture, and on from there."""

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.screen import READY, Screen

pytestmark = pytest.mark.browser

HIGHEST_SEED = "18446744073709551615"
LONG = 10_000
"""Sampler steps that nobody waits for."""
FORMING = 120
"""Steps that take a while, with a preview now and then: at most eight are made."""


def test_a_try_on_is_painted_sent_watched_and_downloaded(screen: Screen, examples: Path, tmp_path: Path) -> None:
    screen.look("desk-1-empty")
    screen.fill_in(examples)
    screen.look("desk-2-painted")
    screen.submit()

    card = screen.wait_for("Under way")
    expect(card.get_by_role("heading", name="garment.png")).to_be_focused()
    expect(card.locator(".step")).to_have_count(4)
    expect(card.get_by_role("progressbar", name="Form the picture")).to_be_visible()
    expect(card.get_by_alt_text("The picture forming")).to_be_visible()
    screen.wait_for(READY)
    expect(card.locator(".step[data-state=done]")).to_have_count(4)
    expect(screen.page.locator("#said")).to_have_text("garment.png is ready.")
    expect(screen.page.locator("#miniature")).to_contain_text("knows only its own drawings")
    screen.look("desk-4-ready")

    with screen.page.expect_download() as downloading:
        card.get_by_role("link", name="Download").click()
    assert re.fullmatch(r"tryon_[0-9a-f-]+\.png", downloading.value.suggested_filename)
    downloading.value.save_as(tmp_path / "result.png")
    with Image.open(tmp_path / "result.png") as result:
        assert 40_000 < result.width * result.height < 65_000
        assert abs(result.height / result.width - 1272 / 824) < 0.05


def test_the_slider_lies_between_original_and_result(screen: Screen, examples: Path) -> None:
    screen.fill_in(examples)
    screen.submit()
    card = screen.wait_for(READY)
    slider = card.get_by_role("slider", name="How much of the result shows, garment.png")
    expect(slider).to_have_value("50")
    before = card.get_by_alt_text("The original photo")
    assert clipped(before) == pytest.approx(50)

    slider.focus()
    slider.press("ArrowRight")
    expect(slider).to_have_value("51")
    assert clipped(before) == pytest.approx(49)
    expect(slider).to_have_attribute("aria-valuetext", "49 % result")

    figure = card.locator(".compare")
    figure.scroll_into_view_if_needed()
    box = figure.bounding_box()
    assert box
    screen.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    screen.page.mouse.down()
    screen.page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 60)
    screen.page.mouse.up()
    expect(slider).to_have_value("20")


def clipped(picture: Locator) -> float:
    """How much of it is cut off at the right, in percent."""
    inset = picture.evaluate("(picture) => getComputedStyle(picture).clipPath")
    found = re.search(r"inset\(0px (?:calc\()?([\d.]+)%", inset)
    assert found, inset
    return float(found[1])


def test_a_running_one_is_cancelled(screen: Screen, examples: Path) -> None:
    screen.fill_in(examples)
    screen.set(steps=FORMING)
    screen.page.locator("#settings summary").click()
    screen.submit()
    card = screen.wait_for("Under way")
    expect(card.get_by_alt_text("The picture forming")).to_be_visible()
    expect(card.get_by_role("progressbar", name="Form the picture")).to_be_visible()
    screen.look("desk-3-running")
    card.get_by_role("button", name="Cancel").click()
    screen.wait_for("Cancelled")
    expect(screen.page.locator("#said")).to_have_text("garment.png is cancelled.")
    expect(card.get_by_role("button", name="Forget")).to_be_visible()
    screen.look("desk-7-cancelled")


def test_again_with_another_seed(screen: Screen, examples: Path) -> None:
    screen.fill_in(examples)
    screen.set(seed=HIGHEST_SEED)
    screen.submit()
    expect(screen.wait_for(READY).get_by_text(f"Seed {HIGHEST_SEED}")).to_be_visible()

    screen.card().get_by_role("button", name="Again with another seed").click()
    expect(screen.cards).to_have_count(2)
    again = screen.wait_for(READY)
    seed = again.get_by_text(re.compile(r"^Seed \d+$")).inner_text()
    assert seed != f"Seed {HIGHEST_SEED}"
    first, second = (screen.card(number).get_by_alt_text("The result: garment.png tried on") for number in range(2))
    assert pixels(first) != pixels(second)


def pixels(picture: Locator) -> str:
    expect(picture).to_be_visible()
    drawn: str = picture.evaluate("""async (picture) => {
        await picture.decode();
        const canvas = document.createElement("canvas");
        Object.assign(canvas, { width: picture.naturalWidth, height: picture.naturalHeight });
        canvas.getContext("2d").drawImage(picture, 0, 0);
        return canvas.toDataURL();
    }""")
    return drawn


def test_many_garments_are_one_click(screen: Screen, examples: Path) -> None:
    """More than have a stream of their own, and more than are taken up at once."""
    names = [f"shirt {number}.png" for number in range(5)]
    garment = (examples / "garment_2.png").read_bytes()
    screen.choose_photo(examples / "person.png")
    screen.paint()
    screen.add_garments(*({"name": name, "mimeType": "image/png", "buffer": garment} for name in names))
    screen.set(steps=12)
    screen.page.get_by_role("button", name="Try on 5 garments").click()
    expect(screen.cards.get_by_role("heading")).to_have_text(names)
    expect(screen.cards.get_by_text(re.compile("^Waiting: (next in line|\\d ahead of it)$")).first).to_be_visible()
    screen.look("desk-5-many")
    for number in range(5):
        screen.wait_for(READY, number)


def test_a_garment_is_taken_away_again(screen: Screen, examples: Path) -> None:
    screen.add_garments(examples / "garment.png", examples / "garment_2.png")
    screen.page.get_by_role("button", name="Remove garment.png").click()
    expect(screen.garments).to_have_count(1)
    expect(screen.page.get_by_role("button", name="Remove garment_2.png")).to_be_focused()
    screen.page.get_by_role("button", name="Remove garment_2.png").click()
    expect(screen.page.get_by_label("Add garments")).to_be_focused()
