"""What this browser keeps."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenScreen
from tests.browser.screen import READY, Screen
from tests.browser.test_tryon import FORMING

pytestmark = pytest.mark.browser


def test_a_reload_keeps_it_all(screen: Screen, examples: Path) -> None:
    screen.fill_in(examples, "garment.png", "garment_2.png")
    screen.submit()
    for number in range(2):
        screen.wait_for(READY, number)
    seeds = screen.cards.locator(".foot span").all_inner_texts()

    screen.open()
    expect(screen.cards.get_by_role("heading")).to_have_text(["garment.png", "garment_2.png"])
    assert screen.cards.locator(".foot span").all_inner_texts() == seeds
    expect(screen.card(1).get_by_role("slider")).to_be_enabled()
    expect(screen.card(0).get_by_role("link", name="Download")).to_have_attribute("href", re.compile("^blob:"))
    screen.look("desk-9-history")
    screen.card(1).get_by_role("button", name="Again with another seed").click()
    expect(screen.cards).to_have_count(3)
    screen.wait_for(READY)


def test_a_reload_goes_on_with_what_is_under_way(screen: Screen, examples: Path) -> None:
    screen.fill_in(examples)
    screen.set(steps=FORMING)
    screen.submit()
    expect(screen.wait_for("Under way").get_by_alt_text("The picture forming")).to_be_visible()
    screen.open()
    card = screen.wait_for("Under way")
    expect(card.get_by_role("progressbar", name="Form the picture")).to_be_visible()
    card.get_by_role("button", name="Cancel").click()
    screen.wait_for("Cancelled")


def test_forgotten_is_gone_from_this_browser(screen: Screen, examples: Path) -> None:
    screen.fill_in(examples, "garment.png", "garment_2.png")
    screen.submit()
    for number in range(2):
        screen.wait_for(READY, number)
    assert (screen.kept("tryons"), screen.kept("photos")) == (2, 7)  # the person thrice, garments, results

    screen.card().get_by_role("button", name="Forget").click()
    expect(screen.cards).to_have_count(1)
    expect(screen.page.locator("#said")).to_have_text("garment.png forgotten.")
    assert (screen.kept("tryons"), screen.kept("photos")) == (1, 5)

    screen.page.get_by_role("button", name="Forget all").click()
    dialog = screen.page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Forget 1 try-on?")).to_be_visible()
    screen.look("desk-10-forget")
    dialog.get_by_role("button", name="Keep").click()
    expect(screen.cards).to_have_count(1)
    screen.page.get_by_role("button", name="Forget all").click()
    dialog.get_by_role("button", name="Forget").click()
    expect(screen.page.get_by_text("What you try on appears here.")).to_be_visible()
    assert (screen.kept("tryons"), screen.kept("photos")) == (0, 0)
    screen.open()
    expect(screen.cards).to_have_count(0)


def test_a_browser_that_keeps_nothing_says_so_and_works(make_screen: OpenScreen, examples: Path) -> None:
    screen = make_screen(before="indexedDB.open = () => { throw new Error('not here'); };")
    expect(screen.page.get_by_text("This browser keeps nothing here")).to_be_visible()
    screen.fill_in(examples)
    screen.submit()
    screen.wait_for(READY)
