"""All of it without a mouse."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.screen import READY, Screen

pytestmark = pytest.mark.browser


def test_painting_with_arrows_and_space(screen: Screen, examples: Path) -> None:
    keys = screen.page.keyboard
    screen.choose_photo(examples / "person.png")
    expect(screen.stage).to_be_focused()

    keys.press("Space")
    spot = screen.painted()
    assert spot > 0
    expect(screen.page.locator("#said")).to_have_text("Painted at 50 % from the left, 32 % from the top.")

    keys.down("Space")
    for _ in range(4):
        keys.press("ArrowRight")
    keys.up("Space")
    line = screen.painted()
    assert line > 2 * spot

    keys.press("ArrowDown")
    assert screen.painted() == line, "the brush is up"
    keys.press("Enter")
    for _ in range(4):
        keys.press("ArrowDown")
    keys.press("Enter")
    corner = screen.painted()
    assert corner > line

    keys.press("Control+z")
    assert screen.painted() == line
    keys.press("Control+Shift+z")
    assert screen.painted() == corner

    keys.press("e")
    expect(screen.page.get_by_role("radio", name="Eraser")).to_be_checked()
    keys.press("]")
    keys.press("Space")
    assert screen.painted() < corner
    screen.look("desk-8-keyboard")


def test_the_brush_stays_on_the_photo(screen: Screen, examples: Path) -> None:
    screen.choose_photo(examples / "person.png")
    for _ in range(60):
        screen.page.keyboard.press("ArrowLeft")
    screen.page.keyboard.press("Space")
    expect(screen.page.locator("#said")).to_contain_text("0 % from the left")
    assert screen.painted() > 0


def test_tab_goes_through_the_form_in_its_order_and_enter_sends_it(screen: Screen, examples: Path) -> None:
    screen.choose_photo(examples / "person.png")
    screen.add_garments(examples / "garment.png")
    screen.stage.focus()
    screen.page.keyboard.press("Space")
    met: list[str] = []
    while not met or met[-1] != "submit":
        screen.page.keyboard.press("Tab")
        met.append(screen.page.evaluate("document.activeElement.id || document.activeElement.ariaLabel || 'summary'"))
        assert len(met) < 20, met
    assert met == [
        "brush", "size", "undo", "redo", "clear", "Remove garment.png", "garment-file", "summary", "submit",
    ]  # fmt: skip
    screen.page.keyboard.press("Enter")
    card = screen.wait_for(READY)
    expect(card.get_by_role("slider")).to_be_attached()
    screen.page.keyboard.press("Tab")
    expect(card.get_by_role("slider")).to_be_focused()
    screen.page.keyboard.press("End")
    expect(card.get_by_role("slider")).to_have_value("100")
    screen.page.keyboard.press("Tab")
    expect(card.get_by_role("link", name="Download")).to_be_focused()


def test_forgetting_leaves_the_focus_in_the_list(screen: Screen, examples: Path) -> None:
    screen.fill_in(examples, "garment.png", "garment_2.png")
    screen.submit()
    for number in range(2):
        screen.wait_for(READY, number)
    screen.card().get_by_role("button", name="Forget").press("Enter")
    expect(screen.cards).to_have_count(1)
    expect(screen.card().get_by_role("heading")).to_be_focused()
    screen.card().get_by_role("button", name="Forget").press("Enter")
    expect(screen.page.get_by_role("heading", name="Try-ons")).to_be_focused()
