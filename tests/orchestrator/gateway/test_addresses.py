"""Which callbacks are refused, and by which of their addresses."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import pytest

from orchestrator.gateway.addresses import Resolve, UnresolvedError, check_url, resolve, target_of
from orchestrator.gateway.errors import CallbackNotAllowedError
from orchestrator.gateway.settings import GatewayConfig

SECRET = "whsec_" + "a" * 44


def to(*addresses: str) -> Resolve:
    """A name server that says this of every name."""

    def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"])
def test_public_addresses(address: str) -> None:
    target = target_of("https://shop.example/done?order=7", [], to(address))
    assert target.addresses == (ip_address(address),)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",  # noqa: S104
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",  # Alibaba's metadata
        "169.254.169.254",  # the metadata of most clouds
        "168.63.129.16",  # Azure's
        "192.0.0.192",  # Oracle's
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",  # Amazon's, over IPv6
        "fe80::1",
        "fe80::1%2",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not(address: str) -> None:
    with pytest.raises(CallbackNotAllowedError, match=r"shop\.example, which is not on the public internet"):
        target_of("https://shop.example/done", [], to(address))
    with pytest.raises(CallbackNotAllowedError):
        target_of("https://shop.example/done", [], to("93.184.216.34", address))


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]"],
)
def test_other_ways_to_write_them(host: str) -> None:
    with pytest.raises(CallbackNotAllowedError, match="not on the public internet"):
        target_of(f"http://{host}:8080/", [])


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://shop.example/", "must begin with http"),
        ("file:///etc/passwd", "must begin with http"),
        ("gopher://shop.example/", "must begin with http"),
        ("//shop.example/", "must begin with http"),
        ("/done", "must begin with http"),
        ("https:///done", "name a host"),
        ("https://user:secret@shop.example/", "password"),
        ("https://user@shop.example/", "password"),
        ("https://shop.example:0/", "port"),
        ("https://shop.example:70000/", "port"),
        ("https://shop.example:x/", "is no URL"),
        ("https://[::1/", "is no URL"),
        ("http://0177.0.0.1/", "is no URL"),
        ("https://shop.example/\x00", "is no URL"),
    ],
)
def test_urls_that_are_refused_as_they_stand(url: str, reason: str) -> None:
    with pytest.raises(CallbackNotAllowedError, match=reason) as refused:
        target_of(url, ["shop.example", "0.0.0.0/0"], to("93.184.216.34"))
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("item", ["10.1.2.3", "10.0.0.0/8", "10.1.2.3/8", "shop.internal", "SHOP.internal."])
@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_private_ones_that_a_setting_names(item: str, address: str) -> None:
    assert target_of("http://shop.internal/", ["fd00::/8", item], to(address)).addresses
    with pytest.raises(CallbackNotAllowedError):
        target_of("http://shop.internal.example/", [item], to("192.168.0.1"))


def test_names_without_an_address() -> None:
    with pytest.raises(UnresolvedError, match=r"No address was found for nobody\.invalid"):
        resolve("nobody.invalid", 80)
    with pytest.raises(UnresolvedError, match=r"No address was found for a\.\.b"):
        resolve("a..b", 80)
    with pytest.raises(UnresolvedError):
        target_of("http://shop.example/", [], to())


def test_what_a_gateway_says_when_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {"webhook_secret": SECRET, "webhook_allow": ["127.0.0.0/8"]}
    check_url(GatewayConfig(**given), "http://127.0.0.1:8000/done")
    with pytest.raises(CallbackNotAllowedError, match="set WEBHOOK_SECRET") as refused:
        check_url(GatewayConfig(), "https://shop.example/done")
    assert refused.value.code == "CALLBACK_NOT_ALLOWED"
    with pytest.raises(CallbackNotAllowedError, match=r"No address was found for nobody\.invalid"):
        check_url(GatewayConfig(**given), "https://nobody.invalid/done")
