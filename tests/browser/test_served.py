"""What the server says of the page."""

import re

import httpx
import pytest

from orchestrator.gateway.http.pages import FOLDER
from tests.browser.world import World

pytestmark = pytest.mark.browser


def test_a_browser_is_told_to_load_nothing_from_elsewhere(world: World) -> None:
    policy = httpx.get(world.gateway.url, trust_env=False).headers["content-security-policy"]
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert allowed["default-src"] in {"'none'", "'self'"}
    assert set(policy.replace(";", " ").split()) & {"'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:"} == set()
    assert set(allowed["img-src"].split()) == {"'self'", "blob:", "data:"}


def test_the_page_names_no_other_place() -> None:
    """No address in it but that of SVG's own names."""
    for file in FOLDER.iterdir():
        found = set(re.findall(r"https?://[^\s\"')]+", file.read_text()))
        assert found <= {"http://www.w3.org/2000/svg"}, file.name
