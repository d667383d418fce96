"""Which IP addresses may be called (DESIGN 6, Addresses).

An address is judged by where a packet to it ends up: IPv4 addresses wrapped in IPv6 ones are unwrapped first.
Nothing here looks names up: the caller brings every address that a lookup returned, and every literal.
"""

import re
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


class _Opening(Enum):
    """What makes a special range callable."""

    NEVER = 1
    ALLOW = 2  # an entry in `allow`
    PRIVATE = 3  # `allow_private`, or an entry in `allow`


@dataclass(frozen=True, slots=True)
class _Range:
    network: Network
    what: str
    opening: _Opening


def _ranges(what: str, opening: _Opening, *networks: str) -> tuple[_Range, ...]:
    return tuple(_Range(ip_network(network), what, opening) for network in networks)


# The first match decides, so exact ranges come first. From the IANA special-purpose address registries.
_SPECIAL = (
    *_ranges(
        "a cloud metadata address",
        _Opening.NEVER,
        "169.254.169.254/32",
        "169.254.170.2/32",
        "100.100.100.200/32",
        "192.0.0.192/32",
        "168.63.129.16/32",
        "fd00:ec2::254/128",
        "fd20:ce::254/128",
    ),
    *_ranges("a link-local address", _Opening.NEVER, "169.254.0.0/16", "fe80::/10"),
    *_ranges("the unspecified address", _Opening.NEVER, "0.0.0.0/8", "::/128"),
    *_ranges("a multicast address", _Opening.NEVER, "224.0.0.0/4", "ff00::/8"),
    *_ranges("the broadcast address", _Opening.NEVER, "255.255.255.255/32"),
    *_ranges("a loopback address", _Opening.ALLOW, "127.0.0.0/8", "::1/128"),
    *_ranges(
        "a private address",
        _Opening.PRIVATE,
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "fc00::/7",
    ),
    *_ranges(
        "a reserved address",
        _Opening.ALLOW,
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        # All of IPv6 but global unicast, 2000::/3.
        "::/3",
        "4000::/2",
        "8000::/1",
    ),
)

_NAT64 = ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ip_network("64:ff9b:1::/48")
_MASK32 = (1 << 32) - 1
_IPV4_PART = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What an installation may call.

    `allow` opens ranges, loopback and reserved ones included, but never link-local, metadata, unspecified, multicast
    or broadcast addresses. `refuse` holds the addresses of the cluster's API server: only an entry in `allow` that is
    at least as exact opens one of them.
    """

    allow: tuple[Network, ...] = ()
    allow_private: bool = True
    refuse: tuple[Network, ...] = ()

    def refusal(self, address: str) -> str | None:
        """Why this IP address (a zone id is ignored) may not be called, as a short text; None if it may."""
        targets = _targets(address)
        if not targets:
            return f"{address!r} is not an IP address"
        for target, special in targets:
            what = self._forbidden(target, special)
            if what:
                return f"{address} is {what}" if str(target) == address else f"{address} leads to {target}, {what}"
        return None

    def explained(self, address: str, host: str) -> str | None:
        """`refusal` for a person: what `host` (a name, or the address itself) leads to, and what setting opens it."""
        problem = self.refusal(address)
        if problem is None:
            return None
        if host != address:
            problem = f"{host} resolves to an address that may not be called: {problem}"
        opening = ",".join(map(str, self.opening(address)))
        advice = f"if it is to be called, set --allow-address {opening}" if opening else "no setting opens it"
        return f"{problem}; {advice}"

    def opening(self, address: str) -> tuple[Network, ...]:
        """The entries that `allow` needs for a refused address, of one address each; empty if nothing opens it."""
        exact = tuple(ip_network(target) for target, _ in _targets(address))
        return exact if replace(self, allow=(*self.allow, *exact)).refusal(address) is None else ()

    def _forbidden(self, target: Address, special: _Range | None) -> str | None:
        if special and special.opening is _Opening.NEVER:
            return special.what
        exactness = max((network.prefixlen for network in self.allow if target in network), default=-1)
        if any(target in network and network.prefixlen > exactness for network in self.refuse):
            return "an address of the cluster's API server"
        if not special or exactness >= 0 or (special.opening is _Opening.PRIVATE and self.allow_private):
            return None
        return special.what


def literal_host(host: str) -> Address | None:
    """The address that a URL's host spells, None if it is a name that must be looked up.

    Knows IPv6 with or without brackets, and every spelling of IPv4 that C's inet_aton takes: `127.1`, `0x7f.1`,
    `0177.0.0.1`, `2130706433`. A final dot does not make it a name.
    """
    if ":" in host:
        try:
            return IPv6Address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
        except ValueError:
            return None
    parts = host.removesuffix(".").split(".")
    if len(host) > 255 or len(parts) > 4:
        return None
    numbers = [number for part in parts if (number := _ipv4_number(part)) is not None]
    if len(numbers) < len(parts):
        return None
    *leading, last = numbers
    if any(number > 255 for number in leading) or last >= 256 ** (5 - len(parts)):
        return None
    return IPv4Address(sum(number << 8 * (3 - place) for place, number in enumerate(leading)) + last)


def _ipv4_number(part: str) -> int | None:
    if not _IPV4_PART.fullmatch(part):
        return None
    if part[:2].lower() == "0x":
        return int(part, 16)
    try:
        return int(part, 8 if part[0] == "0" else 10)
    except ValueError:  # an 8 or 9 in an octal number
        return None


@lru_cache(maxsize=4096)
def _targets(address: str) -> tuple[tuple[Address, _Range | None], ...]:
    """Where packets to this address may end up, each with its special range; empty if it is no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ()
    targets = _unwrap(parsed) if isinstance(parsed, IPv6Address) else (parsed,)
    return tuple((target, _special(target)) for target in targets)


def _special(target: Address) -> _Range | None:
    return next((special for special in _SPECIAL if target in special.network), None)


def _unwrap(address: IPv6Address) -> tuple[Address, ...]:
    address = IPv6Address(int(address))  # without its zone
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    if address.sixtofour:
        return (address.sixtofour,)
    if address.teredo:
        return address.teredo
    if address in _NAT64:
        return (IPv4Address(int(address) & _MASK32),)
    if address in _LOCAL_NAT64:
        return _local_nat64(int(address))
    return (address,)


def _local_nat64(address: int) -> tuple[IPv4Address, ...]:
    """Every plausible reading of an address under 64:ff9b:1::/48, whose prefix length only its network knows.

    RFC 6052, 2.2: the IPv4 address follows a prefix of 48, 56, 64 or 96 bits and steps over the octet at bit 64.
    Readings that start with 0, or with 224 and more, are pieces of a longer prefix.
    """
    stepped = address >> 64 << 56 | address & (1 << 56) - 1
    readings = (stepped >> 40 & _MASK32, stepped >> 32 & _MASK32, stepped >> 24 & _MASK32, address & _MASK32)
    plausible = [reading for reading in readings if 0 < reading >> 24 < 224]
    return tuple(IPv4Address(reading) for reading in plausible or [address & _MASK32])
