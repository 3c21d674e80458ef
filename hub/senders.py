"""Builds the look at mail senders from the settings: the resolver, and under which names results are ours."""

import ipaddress
from collections.abc import Callable
from datetime import datetime, timedelta

from channels.codecs.mail_auth_domains import ascii_domain
from channels.codecs.resolver import Resolver
from domain.errors import Refused
from domain.handling import Mode
from hub.settings import Settings
from intake.sender_checks import Checker
from sandbox.pool import Pool
from store.blobs import Blobs
from store.database import Store

DOOR = "tocsin"  # how the SMTP door calls itself
WALL, CPU = timedelta(seconds=3), timedelta(seconds=2)  # of a child for one mail; 25 MB take 0.3 s


def checker(
    settings: Settings, mode: Mode, *, store: Store, blobs: Blobs, clock: Callable[[], datetime]
) -> Checker | None:
    """None without a resolver. Only a live hub asks one that is not on this machine (law 10)."""
    found = settings.name_servers
    if not found:
        return None
    if not mode.may_reach_the_world:
        for host in (host for host, _ in found if not ipaddress.ip_address(host).is_loopback):
            raise Refused(f"a {mode.value} hub may not ask the name server {host}", code="mode_forbids_wire")
    known = [ascii_domain(name) for name in settings.department_domains.split(",")]
    return Checker(
        store=store,
        blobs=blobs,
        pool=Pool(size=1, wall=WALL, cpu=CPU),
        resolver=Resolver(servers=found),
        clock=clock,
        names=tuple(filter(None, (DOOR, settings.mail_domain))),
        known=tuple(filter(None, known)),
    )
