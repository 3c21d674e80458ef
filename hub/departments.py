"""Builds what departments need: their files in parts, and the calls that tell them what becomes of a report."""

import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from channels import closed_list
from channels.closed_list import Place
from channels.egress import Egress
from channels.webhook import LASTS, Caller
from domain.errors import HubError
from domain.handling import Mode
from duty.webhooks import Teller
from hub.settings import Settings
from intake.uploads import Uploads
from outbox.outgoing import Jobs
from sandbox.pool import Pool
from store import webhooks
from store.blobs import Blobs
from store.database import Store
from store.parts import Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Departments:
    """What they send in parts, and how they are told what becomes of it."""

    uploads: Uploads
    teller: Teller


def of(
    settings: Settings, mode: Mode, store: Store, blobs: Blobs, pool: Pool, clock: Callable[[], datetime]
) -> Departments:
    """Both, for one hub."""
    parts = Parts(settings.data_dir / "uploads")
    return Departments(
        uploads=Uploads(store=store, blobs=blobs, pool=pool, parts=parts, clock=clock),
        teller=_teller(settings, mode, store, clock),
    )


def with_departments(jobs: Jobs, theirs: Departments) -> Jobs:
    """`jobs` that also attach what came in parts, and call departments."""
    return replace(jobs, attach_upload=theirs.uploads.attach, tell_webhook=theirs.teller.tell)


def _teller(settings: Settings, mode: Mode, store: Store, clock: Callable[[], datetime]) -> Teller:
    """Calls the addresses of departments: only a live hub leaves this machine (law 10), and only by https."""
    inside = tuple(
        ipaddress.ip_network(one.strip()) for one in settings.webhook_networks.split(",") if one.strip()
    )
    tls = ssl.create_default_context(cafile=str(settings.peer_ca) if settings.peer_ca else None)

    def place_of(url: str) -> Place:
        return closed_list.place_of(url, is_of_this_machine=not mode.may_reach_the_world, inside=inside)

    def egress_of(place: Place) -> Egress:
        return Egress([place], lasts=LASTS, tls=tls)

    return Teller(store=store, caller=Caller(place_of=place_of, egress_of=egress_of), clock=clock)


def are_well(store: Store) -> Callable[[], bool]:
    """Whether every address of a department is still called; a database that is down is another trouble."""

    def ask() -> bool:
        try:
            return store.read(webhooks.are_well)
        except HubError:
            return True

    return ask
