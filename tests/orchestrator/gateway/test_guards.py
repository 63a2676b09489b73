"""Who may come in, how often, and for which web pages."""

import pytest

from orchestrator.gateway.errors import OriginNotAllowedError, RateLimitedError, UnauthorizedError
from orchestrator.gateway.guards import ANYONE, Keys, Rates
from orchestrator.gateway.http.origins import check_origin


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_tells_its_owner() -> None:
    keys = Keys({"ann": "a-key", "bob": "b-key"})
    assert (keys.owner("a-key"), keys.owner("b-key"), keys.needed) == ("ann", "bob", True)


@pytest.mark.parametrize("key", [None, "", "a", "a-key ", "A-KEY", "\udcff", "ключ"])
def test_no_other_key_does(key: str | None) -> None:
    with pytest.raises(UnauthorizedError) as refused:
        Keys({"ann": "a-key"}).owner(key)
    assert "a-key" not in refused.value.message


def test_without_keys_everybody_may() -> None:
    assert Keys({}).owner(None) == Keys({}).owner("something") == ANYONE


def test_each_has_a_rate_of_its_own_and_time_brings_it_back() -> None:
    clock = Clock()
    rates = Rates(2, clock)
    rates.take("ann")
    rates.take("ann")
    with pytest.raises(RateLimitedError) as refused:
        rates.take("ann")
    assert refused.value.retry_after == 30
    rates.take("bob")
    clock.now += 29.9
    with pytest.raises(RateLimitedError):
        rates.take("ann")
    clock.now += 0.2
    rates.take("ann")


def test_what_was_not_used_is_kept_for_a_minute_and_no_longer() -> None:
    clock = Clock()
    rates = Rates(1, clock)
    clock.now += 3600
    rates.take("ann")
    with pytest.raises(RateLimitedError):
        rates.take("ann")


def test_a_rate_below_one_still_lets_one_in() -> None:
    clock = Clock()
    rates = Rates(0.5, clock)
    rates.take("ann")
    with pytest.raises(RateLimitedError) as refused:
        rates.take("ann")
    assert refused.value.retry_after == 120


def test_without_a_rate_there_is_no_limit() -> None:
    rates = Rates(None)
    for _ in range(1000):
        rates.take("ann")


HOST = {"host": "tryon.example:8080"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://tryon.example:8080"},
        {"origin": "https://tryon.example", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"origin": "https://friend.example", "sec-fetch-site": "cross-site"},
    ],
)
def test_its_own_page_may(headers: dict[str, str]) -> None:
    check_origin(HOST | headers, ["https://friend.example"])


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://tryon.example"},
        {"origin": "http://tryon.example:8080", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://friend.example.evil.example"},
    ],
)
def test_another_page_may_not(headers: dict[str, str]) -> None:
    with pytest.raises(OriginNotAllowedError):
        check_origin(HOST | headers, ["https://friend.example"])


def test_every_page_may_if_told_so() -> None:
    check_origin(HOST | {"origin": "http://anybody.example"}, ["*"])
