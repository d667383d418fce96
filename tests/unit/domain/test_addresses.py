from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.domain.addresses import AddressPolicy, literal_host

DEFAULT = AddressPolicy()
PUBLIC_ONLY = AddressPolicy(allow_private=False)
EVERYTHING = AddressPolicy(allow=(ip_network("0.0.0.0/0"), ip_network("::/0")))
LOOPBACK = AddressPolicy(allow=(ip_network("127.0.0.1/32"), ip_network("::1/128")))

PUBLIC = ["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.0", "100.128.0.0", "223.255.255.255", "2606:4700::1111"]
PRIVATE = ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fc00::1", "fd12:3456::1"]
LOOP = ["127.0.0.1", "127.255.255.255", "::1"]
RESERVED = [
    *("192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "240.0.0.1", "255.255.255.254"),
    *("2001:db8::1", "3fff::1", "100::1", "fec0::1", "::8.8.8.8", "2001:10::1", "4000::1", "::ffff:0:7f00:1"),
]
NEVER = [
    *("169.254.169.254", "169.254.0.1", "169.254.170.2", "fe80::1", "fe80::1%eth0", "febf::1"),
    *("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"),
    *("0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.255.255.255", "ff02::1", "255.255.255.255"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called(address: str) -> None:
    for policy in (DEFAULT, PUBLIC_ONLY, EVERYTHING):
        assert policy.refusal(address) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_a_policy(address: str) -> None:
    assert DEFAULT.refusal(address) is None
    assert PUBLIC_ONLY.refusal(address) == f"{address} is a private address"
    exact = AddressPolicy(allow=(ip_network(address),), allow_private=False)
    assert exact.refusal(address) is None


@pytest.mark.parametrize("address", LOOP + RESERVED)
def test_special_addresses_need_an_exact_range(address: str) -> None:
    assert DEFAULT.refusal(address)
    assert PUBLIC_ONLY.refusal(address)
    assert EVERYTHING.refusal(address) is None


@pytest.mark.parametrize("address", NEVER)
def test_nothing_opens_these(address: str) -> None:
    exact = AddressPolicy(allow=(ip_network(address.partition("%")[0]),))
    for policy in (DEFAULT, PUBLIC_ONLY, EVERYTHING, exact):
        assert policy.refusal(address)


def test_an_allowed_range_opens_itself_only() -> None:
    assert LOOPBACK.refusal("127.0.0.1") is None
    assert LOOPBACK.refusal("::1") is None
    assert LOOPBACK.refusal("::ffff:127.0.0.1") is None
    assert LOOPBACK.refusal("127.0.0.2") == "127.0.0.2 is a loopback address"


def wrapped(address: str) -> list[str]:
    """Every IPv6 address that leads to this IPv4 address."""
    number = int(IPv4Address(address))
    high, low = number >> 16, number & 0xFFFF
    return [
        f"::ffff:{address}",
        f"::ffff:{address}%1",
        f"64:ff9b::{address}",
        f"64:ff9b:1::{address}",
        f"64:ff9b:1:fffe::{address}",
        f"64:ff9b:1:{high:x}:{low >> 8:x}:{(low & 255) << 8:x}::",  # RFC 6052 with a prefix of 48 bits
        f"2002:{high:x}:{low:x}::1",
        str(IPv6Address(0x2001 << 112 | 0x08080808 << 64 | ~number & 0xFFFFFFFF)),  # Teredo
    ]


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "100.100.100.200", "192.0.0.192", "198.18.0.1"])
def test_wrapped_addresses_are_judged_by_where_they_lead(address: str) -> None:
    for wrapping in wrapped(address):
        refusal = DEFAULT.refusal(wrapping)
        assert refusal and f"leads to {address}" in refusal, wrapping


def test_wrapped_private_and_public_addresses() -> None:
    for wrapping in wrapped("10.1.2.3"):
        assert DEFAULT.refusal(wrapping) is None, wrapping
        assert PUBLIC_ONLY.refusal(wrapping) == f"{wrapping} leads to 10.1.2.3, a private address"
    for wrapping in wrapped("8.8.8.8"):
        assert PUBLIC_ONLY.refusal(wrapping) is None, wrapping


def test_the_api_server_is_refused_unless_opened_as_exactly() -> None:
    server = (ip_network("10.96.0.1/32"), ip_network("34.1.2.3/32"), ip_network("127.0.0.1/32"))
    guarded = AddressPolicy(refuse=server)
    for address in ("10.96.0.1", "34.1.2.3", "::ffff:10.96.0.1"):
        refusal = guarded.refusal(address)
        assert refusal and "the cluster's API server" in refusal
    assert guarded.refusal("10.96.0.2") is None
    wide = AddressPolicy(allow=(ip_network("10.0.0.0/8"),), allow_private=False, refuse=server)
    assert wide.refusal("10.96.0.1")
    assert wide.refusal("10.96.0.2") is None
    exact = AddressPolicy(allow=(ip_network("127.0.0.1/32"),), refuse=server)
    assert exact.refusal("127.0.0.1") is None


@pytest.mark.parametrize("address", ["", "localhost", "127.1", "1.2.3.4.5", "[::1]", "::g", "1.2.3.4/32"])
def test_what_is_no_address_is_refused(address: str) -> None:
    assert EVERYTHING.refusal(address) == f"{address!r} is not an IP address"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0X7F000001", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("0000000177.0.0.01", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("1.2.65535", "1.2.255.255"),
        ("1.16777215", "1.255.255.255"),
        ("0", "0.0.0.0"),
        ("4294967295", "255.255.255.255"),
        ("169.254.43518", "169.254.169.254"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
    ],
)
def test_every_spelling_of_an_address_is_a_literal(host: str, address: str) -> None:
    assert literal_host(host) == ip_address(address)


@pytest.mark.parametrize(
    "host",
    ["", ".", "localhost", "1.2.3.4.5", "256.1.1.1", "1.2.3.256", "1.2.65536", "4294967296", "08.0.0.1", "0x", "0x.1",
     "1..2", "-1", "1e3", "0b1", "1_0", "٣.0.0.1", "127.0.0.1 ", "::g", "[::1", "1:2", "9" * 300, "12.example"],
)  # fmt: skip
def test_what_is_no_literal(host: str) -> None:
    assert literal_host(host) is None


@settings(deadline=None)
@given(st.ip_addresses())
def test_literals_read_back_and_are_judged(address: IPv4Address | IPv6Address) -> None:
    assert literal_host(str(address)) == address
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        assert DEFAULT.refusal(str(address))
    if not address.is_global and address.version == 4:
        assert PUBLIC_ONLY.refusal(str(address))


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("0123456789xXabcf.:[]%e "), max_size=40))
def test_any_text_is_judged_without_an_error(text: str) -> None:
    refusal = DEFAULT.refusal(text)
    if literal_host(text) is None:
        assert refusal == f"{text!r} is not an IP address"


@pytest.mark.parametrize(
    ("address", "opening"),
    [
        ("127.0.0.1", "127.0.0.1/32"),
        ("::ffff:127.0.0.1", "127.0.0.1/32"),
        ("64:ff9b::7f00:1", "127.0.0.1/32"),
        ("2002:7f00:1::", "127.0.0.1/32"),
        ("::1", "::1/128"),
        ("169.254.169.254", ""),
        ("::ffff:169.254.169.254", ""),
        ("fe80::1%eth0", ""),
        ("localhost", ""),
    ],
)
def test_what_opens_a_refused_address(address: str, opening: str) -> None:
    assert ",".join(map(str, AddressPolicy().opening(address))) == opening
