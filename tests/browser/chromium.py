"""Finds a Chromium on this machine: the tests download none."""

import os
import shutil

import pytest

CANDIDATES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str:
    wanted = [os.environ["CHROMIUM"]] if os.environ.get("CHROMIUM") else list(CANDIDATES)
    for name in wanted:
        if found := shutil.which(name):
            return found
    pytest.fail(
        f"There is no Chromium: looked for {', '.join(wanted)}. "
        "Install one (Debian: apt install chromium), or name it: CHROMIUM=/path/to/chromium."
    )
