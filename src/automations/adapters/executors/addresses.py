"""Which network addresses an action may call: public ones, and others only where the manifest names the host.

Names are judged by what they resolve to, never by how they look, so `2130706433`, `0x7f.1` and a public name that
points inside are all the addresses that they stand for. The caller connects to the very addresses that were judged.
"""

import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], tuple[str, ...]]
"""Gives the addresses of a host for a port, in the order to try them. Raises OSError."""

_DENIED = tuple(
    ip_network(text)
    for text in (
        "100.64.0.0/10",  # shared by carriers (RFC 6598), also home of a metadata service
        "168.63.129.16/32",  # a cloud's host service on a public-looking address
        "192.0.0.0/24",  # protocol assignments (RFC 6890), also a metadata address
        "::/96",  # IPv4-compatible (RFC 4291 §2.5.5.1)
        "64:ff9b:1::/48",  # local translation to IPv4 (RFC 8215)
        "fec0::/10",  # site-local (RFC 3879)
        "5f00::/16",  # segment routing identifiers (RFC 9602)
    )
)
_TRANSLATED = ip_network("64:ff9b::/96")
"""IPv4 behind a translator (RFC 6052 §2.1): the last 32 bits are the address that is meant."""


def resolve(host: str, port: int) -> tuple[str, ...]:
    """Look a host up with the system's resolver, as connecting would. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def denied(address: str) -> str:
    """Say why an address must not be called: a word such as `loopback`; empty when it may be."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "not an address"
    return next((word for each in (parsed, *_embedded(parsed)) if (word := _kind(each))), "")


def listed(host: str, port: int, *, allowed: Iterable[str]) -> bool:
    """Whether `host` or `host:port` is on a manifest's list; names compare without case and final dot.

    The list names hosts as the URL does: `127.0.0.1` does not stand for `2130706433`. An IPv6 address is `[::1]`, or
    `[::1]:8080` with a port.
    """
    plain = _canonical(f"[{host}]" if ":" in host else host)
    return any(_canonical(entry) in {plain, f"{plain}:{port}"} for entry in allowed)


def _canonical(host: str) -> str:
    if host.startswith("["):
        return host.lower()
    name, colon, port = host.lower().partition(":")
    return name.rstrip(".") + colon + port


def _embedded(address: Address) -> tuple[Address, ...]:
    """List the IPv4 addresses that an IPv6 address leads to through mapping, 6to4, Teredo or translation."""
    if isinstance(address, IPv4Address):
        return ()
    found: list[Address] = [each for each in (address.ipv4_mapped, address.sixtofour) if each]
    found += address.teredo or ()
    if address in _TRANSLATED:
        found.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return tuple(found)


def _kind(address: Address) -> str:
    words = {
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "unspecified": address.is_unspecified,
        "private": address.is_private and not _is_mapped(address),
        "reserved": any(address.version == network.version and address in network for network in _DENIED),
        "not public": not address.is_global and not _is_mapped(address),
    }
    return next((word for word, applies in words.items() if applies), "")


def _is_mapped(address: Address) -> bool:
    """Whether the address is only another spelling of an IPv4 address, which is judged by itself."""
    return isinstance(address, IPv6Address) and address.ipv4_mapped is not None
