"""Networks that a key is tied to, written so that an address is looked up by comparing the beginnings of texts.

An address is its 128 bits, IPv4 as IPv6 has it (RFC 4291, section 2.5.5.2), after an `n`; a network is the `n` and the
bits that its addresses begin with.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

BITS = 128
IPV4_BITS = 32
MAPPED = int(IPv6Address("::ffff:0:0"))


@lru_cache(maxsize=4096)
def encode_address(address: str) -> str:
    """Write an address; what is none, such as that of a Unix socket, is in no network but that of all."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "n"
    return encode(int(found), is_ipv4=found.version == 4)  # noqa: PLR2004 - the versions are 4 and 6


def encode_network(network: str) -> str:
    """Write a network in CIDR notation."""
    found = ip_network(network)
    is_ipv4 = found.version == 4  # noqa: PLR2004 - the versions are 4 and 6
    bits = encode(int(found.network_address), is_ipv4=is_ipv4)
    return bits[: 1 + found.prefixlen + (BITS - IPV4_BITS if is_ipv4 else 0)]


def encode(number: int, *, is_ipv4: bool) -> str:
    """Write the number that an address is."""
    return f"n{number | MAPPED if is_ipv4 else number:0{BITS}b}"


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Tell whether an address is in one of these networks."""
    return encode_address(address).startswith(tuple(map(encode_network, networks)))
