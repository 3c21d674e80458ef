"""Which addresses may be asked for media: a closed list of places, matched whole."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urljoin

from domain.errors import Never

# A stranger's address is matched whole, not taken apart: two parsers could disagree about @, \, # and blanks.
_URL = re.compile(
    r"(https?)://([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?(/[!$-;=?-\[\]_a-z~]{0,2000})",
    re.IGNORECASE | re.ASCII,  # without ASCII the Kelvin sign is a k
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A host that may be asked. `path` must match the whole path; `login` goes to no other host."""

    host: str  # lower case
    port: int = 443
    path: re.Pattern[str] = re.compile(r"/.*")
    login: tuple[str, str] | None = None
    may_begin: bool = True  # False: only where a redirect leads
    is_of_this_machine: bool = False  # a simulator: http, and only to loopback
    inside: tuple[IPv4Network | IPv6Network, ...] = ()  # private networks whose addresses it may have

    def fits(self, scheme: str, host: str, port: int, path: str) -> bool:
        """Whether an address that was taken apart is of this place."""
        wanted = "http" if self.is_of_this_machine else "https"
        return (scheme, host, port) == (wanted, self.host, self.port) and bool(self.path.fullmatch(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A path at a place of the list."""

    place: Place
    path: str


def asked(places: Sequence[Place], url: str, *, is_first: bool = True) -> Asked:
    """The place of an address. Raises Never(bad_address, bad_host), Never(bad_redirect) where a redirect leads."""
    found = _URL.fullmatch(url)
    if found is None:
        raise Never("no plain http address", code="bad_address" if is_first else "bad_redirect")
    scheme, host, path = found[1].lower(), found[2].lower(), found[4]
    port = int(found[3] or (443 if scheme == "https" else 80))
    for place in places:
        if place.fits(scheme, host, port, path) and (place.may_begin or not is_first):
            return Asked(place=place, path=path)
    raise Never("not a host that is asked", code="bad_host" if is_first else "bad_redirect")


def place_of(
    url: str, *, is_of_this_machine: bool, inside: tuple[IPv4Network | IPv6Network, ...] = ()
) -> Place:
    """The host of an address as a place whose every path may be asked. Raises Never(bad_address)."""
    found = _URL.fullmatch(url)
    wanted = "http" if is_of_this_machine else "https"
    if found is None or found[1].lower() != wanted:
        raise Never(f"no plain {wanted} address", code="bad_address")
    port = int(found[3] or (443 if wanted == "https" else 80))
    return Place(host=found[2].lower(), port=port, is_of_this_machine=is_of_this_machine, inside=inside)


def redirected(places: Sequence[Place], of: Asked, location: str) -> Asked:
    """Where `location` leads from there: a whole address, or a path at the same host. Raises Never(bad_redirect)."""
    if location and not location.startswith("//") and not _SCHEME.match(location):  # RFC 9110 §10.2.2
        scheme = "http" if of.place.is_of_this_machine else "https"
        location = f"{scheme}://{of.place.host}:{of.place.port}{urljoin(of.path, location)}"
    return asked(places, location, is_first=False)
