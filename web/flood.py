"""How many forms one address may send: a bucket each, so that a flood waits and a person does not."""

import ipaddress
from collections.abc import Collection
from datetime import datetime, timedelta

from starlette.requests import Request

# 50 a minute from one address are a flood (SCREENS S7); a street that shares an address behind its carrier
# sends fewer by hand, and whoever is over it presses the button again two seconds later.
PER_MINUTE = 30
ADDRESSES = 10_000  # counted at once; a flood from more is the balancer's to stop


# What is over these is kept and answered all the same, and waits on a shelf of its own until an officer looks
# (PROMISES H40): a network is some streets, a telephone number one person, all together what a duty room reads.
OF_NETWORK = 120
OF_NUMBER = 10
OF_ALL = 3_000


class Buckets:
    """One bucket for each name: `per_minute` come at once, then one in each further part of a minute.

    It fails open: a citizen's report is delayed rather than refused (R21).
    """

    def __init__(self, per_minute: int) -> None:
        self._each = timedelta(minutes=1) / per_minute
        self._full_at: dict[str, datetime] = {}  # when the bucket of a name will be full again

    def has_room(self, name: str, at: datetime) -> bool:
        """Whether one more may come now; it is counted when it may."""
        if len(self._full_at) > ADDRESSES:
            self._full_at = {name: full for name, full in self._full_at.items() if full > at}
        if len(self._full_at) > ADDRESSES:
            self._full_at.clear()
        full_at = max(self._full_at.get(name, at), at) + self._each
        if full_at - at > timedelta(minutes=1):
            return False
        self._full_at[name] = full_at
        return True


class Flood:
    """The buckets of one process."""

    def __init__(self, per_minute: int = PER_MINUTE, *, of_all: int = OF_ALL) -> None:
        self._addresses = Buckets(per_minute)
        self._networks = Buckets(OF_NETWORK)
        self._numbers = Buckets(OF_NUMBER)
        self._all = Buckets(of_all)

    def has_room(self, address: str, at: datetime) -> bool:
        """Whether one more form of this address may come now."""
        return self._addresses.has_room(address, at)

    def is_bulk(self, address: str, sender: str, at: datetime) -> bool:
        """Whether so many come from the streets around, under this number, or at all, that it has to wait."""
        counted = [self._networks.has_room(network_of(address), at), self._all.has_room("", at)]
        if sender:
            counted.append(self._numbers.has_room(sender, at))
        return not all(counted)


def network_of(address: str) -> str:
    """The /24 of an IPv4 address, the /48 of an IPv6 one or of its /64."""
    try:
        found = ipaddress.ip_network(address, strict=False)
    except ValueError:
        return address
    return str(found.supernet(new_prefix=24 if found.version == 4 else 48))


def address_of(request: Request, proxies: Collection[str]) -> str:
    """Who sent the request, as far as `proxies` can be believed: an IPv4 address, or the /64 of an IPv6 one.

    Each proxy adds whom it heard; from the right, the first that is no proxy of ours is the sender.
    """
    told = ",".join(request.headers.getlist("x-forwarded-for"))[-500:].split(",")
    peer = request.client.host if request.client else ""
    sender = peer
    for hop in (peer, *(one.strip() for one in reversed(told))):
        sender = hop or sender
        if hop not in proxies:
            break
    try:
        found = ipaddress.ip_address(sender.partition("%")[0])
    except ValueError:
        return sender[:64]
    found = getattr(found, "ipv4_mapped", None) or found
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))
