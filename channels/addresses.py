"""Which internet addresses are public, by a table of our own.

Python's `is_global` calls 64:ff9b::7f00:1 global, which a NAT64 gateway turns into 127.0.0.1; other versions
differ in other rows. So IPv6 is public only inside 2000::/3, less the ranges that carry another address inside.
Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (2025-10), RFC 6890; RFC 6052 (64:ff9b::/96),
RFC 4380 (Teredo), RFC 3056 (6to4), RFC 5214 §6.1 (ISATAP).
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_CLOSED_4 = tuple(
    IPv4Network(net)
    for net in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers; clouds keep their metadata here (100.100.100.200)
        "127.0.0.0/8",
        "168.63.129.16/32",  # public by its number, the host of the virtual machine by Azure's documents
        "169.254.0.0/16",  # link-local: cloud metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_OPEN_6 = IPv6Network("2000::/3")  # what IANA has given out as global unicast; all else is closed
_CLOSED_6 = tuple(
    IPv6Network(net)
    for net in (
        "2001::/23",  # Teredo, benchmarks, ORCHID, AMT
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "2620:4f:8000::/48",
        "3fff::/20",  # documentation
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)  # upper half of the interface id: an IPv4 address is the lower


def is_public(address: str) -> bool:
    """Whether `address` may be connected to on a stranger's word; False for what is no address."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv4Address):
        return not any(found in net for net in _CLOSED_4)
    return _is_public_6(found)


def is_inside(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Whether `address` lies in one of the networks that the deployment names; never loopback or link-local."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified:
        return False
    return any(found.version == net.version and found in net for net in networks)


def is_of_this_machine(address: str) -> bool:
    """Whether `address` is loopback, written plainly."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _is_public_6(address: IPv6Address) -> bool:
    if address.scope_id is not None or address not in _OPEN_6:
        return False
    is_wrapped = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    return not is_wrapped and not any(address in net for net in _CLOSED_6)
