"""What does not go well is said in sentences, and can be put right."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import FilePayload, Route, expect

from tests.browser.conftest import OpenScreen
from tests.browser.screen import FAILED, READY, Screen
from tests.browser.test_tryon import FORMING, LONG
from tests.browser.world import World

pytestmark = pytest.mark.browser

AWAY = "Failed to load resource: net::ERR_CONNECTION_REFUSED"
BROKEN_OFF = ("net::ERR_INCOMPLETE_CHUNKED_ENCODING", "net::ERR_CONNECTION_RESET", "net::ERR_EMPTY_RESPONSE")


def refused(status: int) -> str:
    return f"Failed to load resource: the server responded with a status of {status}"


# While it is down nobody answers; when it has begun, it first reads what it missed.
AWAY_FOR_A_WHILE = (AWAY, *BROKEN_OFF, refused(503))


def test_a_file_that_is_no_picture(screen: Screen) -> None:
    notes: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    screen.page.get_by_label("Photo of a person").set_input_files(notes)
    notice = screen.page.get_by_role("alert")
    expect(notice).to_contain_text("notes.txt is no picture that this browser can read.")
    screen.look("desk-11-no-picture")
    notice.get_by_role("button", name="Close").click()
    expect(notice).to_be_hidden()


def test_what_is_missing_is_asked_for(screen: Screen, examples: Path) -> None:
    notice = screen.page.get_by_role("alert")
    screen.submit()
    expect(notice).to_contain_text("Choose a photo of a person first.")
    screen.choose_photo(examples / "person.png")
    screen.submit()
    expect(notice).to_contain_text("Paint the area to dress green first.")
    expect(screen.stage).to_be_focused()
    screen.paint()
    screen.submit()
    expect(notice).to_contain_text("Add a garment first.")
    screen.add_garments(examples / "garment.png")
    screen.set(seed="18446744073709551616")
    screen.page.locator("#settings summary").click()
    screen.submit()
    seed = screen.page.get_by_label("Seed", exact=True)
    expect(seed).to_be_focused()
    expect(seed).to_have_accessible_description(
        "The same seed makes the same picture. Empty: a random one. "
        "A seed is a whole number from 0 to 18446744073709551615."
    )
    expect(screen.cards).to_have_count(0)
    screen.look("desk-12-wrong-setting")


def test_a_try_on_that_fails_says_why(screen: Screen, examples: Path) -> None:
    screen.fill_in(examples)
    screen.set(unet_model_name="not_there.safetensors")
    screen.submit()
    card = screen.wait_for(FAILED)
    expect(card.locator(".problem")).to_contain_text("not_there.safetensors")
    expect(card.locator(".step[data-state=failed]")).to_contain_text("Form the picture")
    expect(screen.page.locator("#said")).to_contain_text("garment.png failed.")
    screen.look("desk-6-failed")
    card.get_by_role("button", name="Try again").click()
    expect(screen.cards).to_have_count(2)
    screen.wait_for(FAILED)


def test_what_the_server_does_not_take_is_not_sent(screen: Screen, examples: Path) -> None:
    """The page's own check is got around, as an older page would by itself."""
    screen.expected.append(refused(422))
    screen.fill_in(examples)
    screen.set(steps=5)
    screen.page.evaluate("document.getElementById('field-steps').removeAttribute('max')")
    screen.set(steps=LONG + 1)
    screen.submit()
    card = screen.wait_for("Not sent")
    expect(card.locator(".problem")).to_contain_text("steps")
    screen.look("desk-13-refused")
    card.get_by_role("button", name="Forget").click()
    expect(screen.cards).to_have_count(0)


def test_pictures_that_are_too_large_together(make_screen: OpenScreen, world: World, examples: Path) -> None:
    with world.other_gateway("small", gateway_max_upload_mb=0.05) as gateway:
        screen = make_screen(gateway.url)
        screen.fill_in(examples)
        screen.submit()
        expect(screen.page.get_by_role("alert")).to_contain_text("the server takes 0.05 MB")
        expect(screen.cards).to_have_count(0)


def test_a_server_that_is_asked_too_often(make_screen: OpenScreen, world: World, examples: Path) -> None:
    with world.other_gateway("seldom", gateway_rate_per_minute=1) as gateway:
        screen = make_screen(gateway.url)
        screen.expected.append(refused(429))
        screen.fill_in(examples)
        screen.submit()
        screen.wait_for(READY)
        screen.submit()
        card = screen.wait_for("Not sent")
        expect(card.locator(".problem")).to_contain_text("Try again in")
        expect(card.get_by_role("button", name="Try again")).to_be_visible()


def test_a_server_that_is_away_is_waited_for(screen: Screen, world: World, examples: Path) -> None:
    screen.expected += AWAY_FOR_A_WHILE
    screen.fill_in(examples)
    world.gateway.stop()
    try:
        screen.submit()
        expect(screen.page.get_by_text("The server can't be reached.")).to_be_visible()
        screen.wait_for("Waits for the server")
        screen.look("desk-14-away")
    finally:
        world.gateway.start()
    screen.wait_for(READY)
    expect(screen.page.get_by_text("The server can't be reached.")).to_be_hidden()


def test_a_server_that_has_just_begun_is_waited_for(screen: Screen, examples: Path) -> None:
    """It answers already, and still reads what there is."""
    screen.expected.append(refused(503))
    sent: list[str] = []

    def not_ready_at_first(route: Route) -> None:
        if route.request.method != "POST":
            return route.continue_()
        sent.append(route.request.url)
        if len(sent) > 1:
            return route.continue_()
        error = {"code": "GATEWAY_NOT_READY", "detail": "It still reads.", "retryable": True}
        return route.fulfill(status=503, headers={"Retry-After": "1"}, json=error)

    screen.page.route("**/v1/try-ons", not_ready_at_first)
    screen.fill_in(examples)
    screen.submit()
    screen.wait_for(READY)
    assert len(sent) == 2


def test_a_stream_that_breaks_off_is_taken_up_again(screen: Screen, world: World, examples: Path) -> None:
    screen.expected += AWAY_FOR_A_WHILE
    screen.fill_in(examples)
    screen.set(steps=FORMING)
    screen.submit()
    card = screen.wait_for("Under way")
    expect(card.get_by_alt_text("The picture forming")).to_be_visible()
    world.gateway.stop()
    try:
        expect(screen.page.get_by_text("The server can't be reached.")).to_be_visible()
    finally:
        world.gateway.start()
    expect(screen.page.get_by_text("The server can't be reached.")).to_be_hidden()
    card.get_by_role("button", name="Cancel").click()
    screen.wait_for("Cancelled")


def test_an_answer_that_is_lost_is_asked_for_again_and_nothing_made_twice(
    screen: Screen, world: World, examples: Path
) -> None:
    screen.expected.append("net::ERR_FAILED")
    lost: list[str] = []

    def lose_first(route: Route) -> None:
        if lost or route.request.method != "POST":
            return route.continue_()
        lost.extend(made["id"] for made in route.fetch().json()["try_ons"])
        return route.abort()

    screen.page.route("**/v1/try-ons", lose_first)
    before = known(world)
    screen.fill_in(examples)
    screen.submit()
    screen.wait_for(READY)
    assert known(world) - before == set(lost)


def known(world: World) -> set[str]:
    answer = httpx.get(f"{world.gateway.url}/v1/try-ons?limit=200", trust_env=False)
    return {each["id"] for each in answer.json()["try_ons"]}


def test_a_try_on_that_the_server_does_not_know_any_more(screen: Screen, examples: Path) -> None:
    screen.expected.append(refused(404))
    screen.fill_in(examples)
    screen.set(steps=LONG)
    screen.submit()
    screen.wait_for("Under way").get_by_role("button", name="Cancel").click()
    screen.wait_for("Cancelled")
    make_unknown(screen)
    screen.open()
    card = screen.wait_for("Not there any more")
    card.get_by_role("button", name="Send again").click()
    expect(screen.cards).to_have_count(2)
    screen.wait_for("Under way").get_by_role("button", name="Cancel").click()
    screen.wait_for("Cancelled")


def make_unknown(screen: Screen) -> None:
    """As if the server had forgotten it: this browser knows it by an id that the server has never given."""
    screen.page.evaluate("""() => new Promise((resolve) => {
        indexedDB.open("vtryon").onsuccess = ({ target }) => {
            const writing = target.result.transaction("tryons", "readwrite");
            const records = writing.objectStore("tryons");
            records.getAll().onsuccess = ({ target: { result: [record] } }) => {
                record.remote = record.view.id = "0".repeat(32);
                record.view.state = "running";
                records.put(record, record.id);
            };
            writing.oncomplete = () => { target.result.close(); resolve(); };
        };
    })""")


def test_a_key_is_asked_for_and_kept_for_the_tab(make_screen: OpenScreen, world: World, examples: Path) -> None:
    with world.other_gateway("keys", gateway_api_keys={"tests": "open-sesame"}) as gateway:
        screen = make_screen(gateway.url)
        screen.expected.append(refused(401))
        screen.fill_in(examples)
        screen.submit()
        dialog = screen.page.get_by_role("dialog", name="API key")
        expect(dialog).to_contain_text("The server asks for an API key.")
        screen.look("desk-15-key")
        screen.page.get_by_label("Key", exact=True).fill("wrong")
        dialog.get_by_role("button", name="Use it").click()
        expect(dialog).to_contain_text("The server does not take this API key.")
        screen.page.get_by_label("Key", exact=True).fill("open-sesame")
        screen.page.keyboard.press("Enter")
        screen.wait_for(READY)

        screen.open()
        screen.card().get_by_role("button", name="Again with another seed").click()
        expect(screen.cards).to_have_count(2)
        screen.wait_for(READY)
        expect(dialog).to_be_hidden()


def test_without_a_key_nothing_is_sent(make_screen: OpenScreen, world: World, examples: Path) -> None:
    with world.other_gateway("locked", gateway_api_keys={"tests": "open-sesame"}) as gateway:
        screen = make_screen(gateway.url)
        screen.expected.append(refused(401))
        screen.fill_in(examples)
        screen.submit()
        screen.page.get_by_role("button", name="Not now").click()
        card = screen.wait_for("Not sent")
        card.get_by_role("button", name="Try again").click()
        screen.page.get_by_label("Key", exact=True).fill("open-sesame")
        screen.page.get_by_role("button", name="Use it").click()
        screen.wait_for(READY)
