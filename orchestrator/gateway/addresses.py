"""Where a callback may go: to public addresses, and to those that a setting names.

Whoever may ask for a try-on must not reach what only this machine can: services of its network, its cloud's metadata.
A name is resolved once, every address found is checked, and the connection is made to one of those.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from orchestrator.gateway.errors import CallbackNotAllowedError
from orchestrator.gateway.settings import GatewayConfig
from shared_utils.transports.kafka.bounded import NoReturnError, bounded

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

RESOLVE_SECONDS = 5.0
PORTS = {"http": 80, "https": 443}
GLOBAL_UNICAST = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")
"""A gateway of the network carries these on to the IPv4 address in their last four bytes."""
CLOUDS_OWN = (IPv4Network("168.63.129.16/32"), IPv4Network("192.0.0.0/24"))
"""Public by their numbers, yet answered inside of a cloud's network: Azure's WireServer, Oracle's metadata."""


class UnresolvedError(Exception):
    """A name has no address, or no name server says so in time. That may pass."""


@dataclass(frozen=True)
class Target:
    """A URL that may be called, and the addresses that were found right."""

    url: httpx.URL
    addresses: tuple[Address, ...]


def check_url(config: GatewayConfig, url: str) -> None:
    """Refuse a callback that would not be delivered. Waits for a name server: not for an event loop."""
    if config.webhook_secret is None:
        raise CallbackNotAllowedError(
            "This gateway delivers no callbacks: set WEBHOOK_SECRET, which they are signed with."
        )
    try:
        target_of(url, config.webhook_allow)
    except UnresolvedError as unresolved:
        raise CallbackNotAllowedError(f"{unresolved} Give a callback_url that can be reached.") from None


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, in the order in which the system would try them."""
    found: list[str] = []

    def ask() -> None:
        found.extend(str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    try:
        bounded(ask, RESOLVE_SECONDS)
    except (OSError, UnicodeError, NoReturnError):
        raise UnresolvedError(f"No address was found for {host}.") from None
    return list(dict.fromkeys(found))


def target_of(url: str, allowed: Sequence[str], resolve: Resolve = resolve) -> Target:
    """What to call for this URL; CallbackNotAllowedError if it must not be called, UnresolvedError if it can't be."""
    parsed = _parsed(url)
    host = parsed.raw_host.decode()
    addresses = tuple(ip_address(each) for each in resolve(host, parsed.port or PORTS[parsed.scheme]))
    if not addresses:
        raise UnresolvedError(f"No address was found for {host}.")
    if not all(_may_be_called(host, each, allowed) for each in addresses):
        raise CallbackNotAllowedError(
            f"callback_url leads to {host}, which is not on the public internet. WEBHOOK_ALLOW can name hosts and "
            "networks that may be called all the same."
        )
    return Target(parsed, addresses)


def _parsed(url: str) -> httpx.URL:
    """Read once: what is checked is what is called."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise CallbackNotAllowedError("callback_url is no URL.") from None
    if parsed.scheme not in PORTS or not parsed.raw_host:
        raise CallbackNotAllowedError("callback_url must begin with http:// or https:// and name a host.")
    if parsed.port is not None and not 0 < parsed.port < 2**16:
        raise CallbackNotAllowedError("callback_url names a port that there can't be.")
    if parsed.userinfo:
        raise CallbackNotAllowedError("callback_url must not hold a user's name or password: callbacks are signed.")
    return parsed


def _may_be_called(host: str, address: Address, allowed: Sequence[str]) -> bool:
    meant = _meant(address)
    return _is_public(meant) or any(_names(item, host, meant) for item in allowed)


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 address is a wrapping of, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        return address in GLOBAL_UNICAST and address.is_global
    clouds = any(address in network for network in CLOUDS_OWN)
    return address.is_global and not (clouds or address.is_multicast or address.is_reserved)


def _names(item: str, host: str, address: Address) -> bool:
    """Whether an item of WEBHOOK_ALLOW, a network or a name, is about this host."""
    try:
        network = ip_network(item, strict=False)
    except ValueError:
        return item.lower().rstrip(".") == host.lower().rstrip(".")
    return address in network
