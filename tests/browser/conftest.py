"""A browser, and the world that the page in it talks to."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.chromium import find_chromium
from tests.browser.screen import Screen
from tests.browser.world import World, running_world

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_MS = 120_000
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
OpenScreen = Callable[..., Screen]


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept, for people to look at."""
    folder = Path(os.environ.get("SCREENSHOTS") or ROOT / "out" / "browser").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("world"), model_dir) as world:
        yield world


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    # Chromium's sandbox refuses to work for root, which is who tests are run as in a container.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def make_screen(world: World, browser: Browser, pictures: Path) -> Iterator[OpenScreen]:
    """Opens the page in a browser that has never seen it. What must always be true is checked in the end."""
    screens: list[Screen] = []

    def make(url: str = world.gateway.url, before: str = "", **options: Any) -> Screen:
        """`before` is a script that runs before those of the page."""
        context = browser.new_context(**{"viewport": DESK, "reduced_motion": "reduce", **options})
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(before)
        screens.append(Screen(context.new_page(), url, pictures))
        screens[-1].open()
        return screens[-1]

    yield make
    for screen in screens:
        screen.page.context.close()
        screen.check()


@pytest.fixture
def screen(make_screen: OpenScreen) -> Screen:
    """On a desk."""
    return make_screen()


@pytest.fixture
def phone(make_screen: OpenScreen) -> Screen:
    return make_screen(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
