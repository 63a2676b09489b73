"""On a phone: 360 pixels wide, with a finger."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.screen import READY, SHIRT, Point, Screen

pytestmark = pytest.mark.browser


def test_a_try_on_by_finger(phone: Screen, examples: Path) -> None:
    assert fits(phone)
    phone.look("phone-1-empty")
    phone.choose_photo(examples / "person.png")
    stroke(phone, SHIRT)
    assert 0.05 < phone.painted() < 0.3
    phone.add_garments(examples / "garment.png", examples / "garment_2.png")
    phone.page.locator("#settings summary").tap()
    phone.look("phone-2-painted")
    assert fits(phone)
    phone.page.locator("#submit").tap()

    phone.wait_for("Under way")
    expect(phone.card()).to_be_in_viewport()
    for number in range(2):
        phone.wait_for(READY, number)
    assert fits(phone)
    phone.look("phone-3-ready")
    box = phone.card().locator(".compare").bounding_box()
    assert box
    phone.page.touchscreen.tap(box["x"] + box["width"] * 0.75, box["y"] + 30)
    expect(phone.card().get_by_role("slider")).to_have_value("75")


def test_painting_does_not_move_the_page(phone: Screen, examples: Path) -> None:
    phone.choose_photo(examples / "person.png")
    phone.places(SHIRT)
    before = phone.page.evaluate("scrollY")
    stroke(phone, [(0.5, 0.6), (0.5, 0.3)])
    assert phone.page.evaluate("scrollY") == before
    assert phone.painted() > 0


def stroke(phone: Screen, points: list[Point] | tuple[Point, ...]) -> None:
    """A finger through these points."""
    finger = phone.page.context.new_cdp_session(phone.page)
    first, *others = [{"x": x, "y": y} for x, y in phone.places(points)]
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [first]})
    for each in others:
        finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [each]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def fits(phone: Screen) -> bool:
    """Whether nothing sticks out at the side."""
    width: int = phone.page.evaluate("document.documentElement.scrollWidth")
    return width <= 360
