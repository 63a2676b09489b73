"""What several tests wait for."""

import threading

import pytest

from shared_utils.turns import Turn


@pytest.fixture
def given_up(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when nobody waits for a request any more."""
    noticed, give_up = threading.Event(), Turn.give_up

    def notice(turn: Turn) -> None:
        give_up(turn)
        noticed.set()

    monkeypatch.setattr(Turn, "give_up", notice)
    return noticed
