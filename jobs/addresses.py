"""Which addresses of the Internet our own requests may go to. Plain Python: children use it too.

Not `ipaddress.is_global`: in Python 3.11 it takes several special ranges for public ones, among
them all that carry an IPv4 address inside an IPv6 one. Those are refused as whole ranges here.
"""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Network = IPv4Network | IPv6Network

# https://www.iana.org/assignments/iana-ipv4-special-registry
_DENIED_IPV4 = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network; 0.0.0.0 reaches the machine itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared with a carrier's NAT; metadata of one cloud
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's own service for its machines, though a public address
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; metadata of one cloud
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast tunnels
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
]
# All that was ever given to anybody. Outside of it lie loopback, mapped (::ffff:0:0/96) and
# compatible (::/96) addresses, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), discard (100::/64), unique
# local, link-local, site-local and multicast ones.
_GLOBAL_IPV6 = IPv6Network("2000::/3")
# https://www.iana.org/assignments/iana-ipv6-special-registry
_DENIED_IPV6 = [
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID and others
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # 6bone, given back
        "3fff::/20",  # documentation
    )
]


def networks(texts: Sequence[str]) -> list[Network]:
    """Read networks such as `10.1.0.0/16`; ValueError for anything else."""
    return [ip_network(text) for text in texts]


def is_allowed(text: str, opened: Sequence[Network]) -> bool:
    """Whether a literal address may be connected to: a public one, or one that was opened."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return _is_within(address, opened) or not _is_within(address, _DENIED_IPV4)
    # With a zone (fe80::1%eth0) an address belongs to one link.
    if address.scope_id is not None:
        return False
    is_public = address in _GLOBAL_IPV6 and not _is_within(address, _DENIED_IPV6)
    return _is_within(address, opened) or is_public


def _is_within(address: IPv4Address | IPv6Address, ranges: Sequence[Network]) -> bool:
    return any(address in network for network in ranges)
