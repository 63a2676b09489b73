"""The page as a person meets it, and what must be true of it whatever they do."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Locator, Page, expect

Point = tuple[float, float]
# Across the chest of the person in the examples, as shares of the photo's width and height.
ROWS = (0.34, 0.39, 0.44, 0.49, 0.54, 0.59, 0.64)
SHIRT: tuple[Point, ...] = tuple(
    (x, y) for number, y in enumerate(ROWS) for x in ((0.38, 0.62), (0.62, 0.38))[number % 2]
)
SCHEMES: tuple[Any, ...] = ("light", "dark")
GRAVE = {"serious", "critical"}
READY, FAILED = "Ready", "Failed"


@dataclass
class Screen:
    page: Page
    url: str
    pictures: Path
    """Where screenshots are kept."""
    expected: list[str] = field(default_factory=list)
    """What the browser may complain of on its console: a test that breaks something says so here."""
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda said: self._heard(said.type, f"{said.text} {said.location['url']}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def _heard(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not any(each in text for each in self.expected):
            self.complaints.append(f"{kind}: {text}")

    def check(self) -> None:
        """Nothing went wrong unseen, and nobody else was asked for anything."""
        assert not self.complaints, self.complaints
        hosts = {urlsplit(url).netloc for url in self.asked if urlsplit(url).scheme in {"http", "https"}}
        assert hosts <= {urlsplit(self.url).netloc}, hosts

    # ---- the form

    def open(self) -> None:
        self.page.goto(f"{self.url}/")
        expect(self.page.get_by_text(re.compile(r"^vtryon \d"))).to_be_visible()

    def choose_photo(self, photo: Any) -> None:
        self.page.get_by_label("Photo of a person").set_input_files(photo)
        expect(self.stage).to_be_visible()

    def add_garments(self, *garments: Any) -> None:
        before = self.garments.count()
        self.page.get_by_label("Add garments").set_input_files(list(garments))
        expect(self.garments).to_have_count(before + len(garments))

    @property
    def garments(self) -> Locator:
        return self.page.locator(".garment")

    @property
    def stage(self) -> Locator:
        return self.page.get_by_role("application", name="Painting area")

    def paint(self, points: Sequence[Point] = SHIRT) -> None:
        """A stroke of the mouse through these points."""
        first, *others = self.places(points)
        self.page.mouse.move(*first)
        self.page.mouse.down()
        for place in others:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up()

    def places(self, points: Sequence[Point]) -> list[Point]:
        self.stage.scroll_into_view_if_needed()
        box = self.stage.bounding_box()
        assert box
        return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]

    def painted(self) -> float:
        """How much of the photo is green on the screen, 0 to 1."""
        share: float = self.page.evaluate("""() => {
            const area = document.getElementById("area");
            const copy = new OffscreenCanvas(area.width, area.height).getContext("2d");
            copy.drawImage(area, 0, 0);
            const { data } = copy.getImageData(0, 0, area.width, area.height);
            let painted = 0;
            for (let at = 3; at < data.length; at += 4) if (data[at] > 127) painted += 1;
            return painted / (data.length / 4);
        }""")
        return share

    def set(self, **settings: Any) -> None:
        """Fill in settings, by the names of their fields."""
        details = self.page.locator("#settings")
        if details.get_attribute("open") is None:
            details.locator("summary").click()
        for name, value in settings.items():
            self.page.locator(f"#field-{name}").fill(str(value))

    def submit(self) -> None:
        self.page.locator("#submit").click()

    def fill_in(self, examples: Path, *garments: str) -> None:
        """All that a try-on needs."""
        self.choose_photo(examples / "person.png")
        self.paint()
        self.add_garments(*(examples / name for name in garments or ("garment.png",)))

    # ---- the try-ons

    @property
    def cards(self) -> Locator:
        return self.page.get_by_role("article")

    def card(self, number: int = 0) -> Locator:
        """The newest is number 0."""
        return self.cards.nth(number)

    def wait_for(self, state: str, number: int = 0) -> Locator:
        expect(self.card(number).locator(".state")).to_have_text(state)
        return self.card(number)

    def kept(self, store: str) -> int:
        """How much this browser has in a store."""
        count: int = self.page.evaluate(
            """(store) => new Promise((resolve) => {
                indexedDB.open("vtryon").onsuccess = ({ target }) => {
                    const database = target.result;
                    const counting = database.transaction(store).objectStore(store).count();
                    counting.onsuccess = () => { database.close(); resolve(counting.result); };
                };
            })""",
            store,
        )
        return count

    # ---- looking

    def look(self, name: str) -> None:
        """In light and dark: keep a picture, and have axe look for what shuts people out."""
        # A dialog covers the window, not the page.
        whole = self.page.locator("dialog[open]").count() == 0
        for scheme in SCHEMES:
            self.page.emulate_media(color_scheme=scheme)
            self.page.screenshot(path=self.pictures / f"{name}-{scheme}.png", full_page=whole)
            found = Axe().run(self.page).response["violations"]
            grave = {
                each["id"]: [node["html"][:200] for node in each["nodes"]] for each in found if each["impact"] in GRAVE
            }
            assert not grave, f"{name}, {scheme}: {grave}"
        self.page.emulate_media(color_scheme="light")
