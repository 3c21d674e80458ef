"""Peers at the desk: when each was last heard, what it lacks, its pinned keys; administrators enter and stop them."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.responses import Response

from channels.codecs import bulletin_seal, cap_seal
from domain.errors import BadInput, HubError, Never, NotFound, Refused
from domain.person import Person, Role
from duty import bulletins as duty
from hub import peers_in
from hub.proofs import PEER_KEY
from intake import pull_stream
from store import peers
from store.unit import Unit
from web.console.visit import Visit
from web.page import go

HERE = "/console/peers"
KEEPERS = (Role.ADMIN, Role.LEADER)
PERIODS = (15, 60, 300, 900)  # seconds; a minute finds what was missed within 90 s (R36)
LISTED = 50  # senders and hosts of one peer
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def listed(visit: Visit, problem: HubError | None = None) -> Response:
    """All peers with how they are, and our own key."""

    def work(unit: Unit) -> dict[str, Any]:
        found = [one for one in peers.listed(unit) if one.id != PEER_KEY]
        return {
            "peers": [(one, peers.keys_of(unit, one.id, with_revoked=True)) for one in found],
            "items": peers.item_counts(unit),
        }  # fmt: skip

    own = bulletin_seal.public_text(visit.hub.keys.bulletin)
    return visit.show(
        "peers.html", problem=problem, own_key=own, own_name=bulletin_seal.fingerprint(own),
        our_sender=visit.hub.settings.sender_id, may_keep=bool(visit.person.roles & set(KEEPERS)), periods=PERIODS,
        typed=visit.form, here="/console/bulletins", **visit.read(work),
    )  # fmt: skip


def add(visit: Visit) -> Response:
    """Enter a peer whose feed is pulled."""
    try:
        read = _read(visit)
        visit.act(lambda unit, by: _added(unit, by, read, visit.at))
    except (Refused, BadInput) as error:
        return listed(visit, error)
    return go(f"{HERE}?done=add_peer")


def change(visit: Visit) -> Response:
    """One act on a peer."""
    return visit.change(_ACTS, listed, HERE, of="_peer")


def _read(visit: Visit) -> dict[str, Any]:
    """What the form says of a new peer. Raises BadInput, Refused."""
    form = visit.form
    name, url, period = form.first("name").strip()[:120], form.first("url").strip(), form.number("period")
    hosts, senders = _words(form.first("hosts"), "hosts"), _words(form.first("senders"), "senders")
    if not name or period not in PERIODS or not all(_HOST.fullmatch(host) for host in hosts):
        raise BadInput("the peer cannot be read", code="bad_peer")
    _must_be_askable(visit, url)
    return {"name": name, "url": url, "period": period, "hosts": hosts, "senders": senders,
            "form": "stream" if pull_stream.is_stream(url) else "feed"}  # fmt: skip


def _added(unit: Unit, by: Person, read: Mapping[str, Any], at: datetime) -> None:
    by.must_be(*KEEPERS)
    peers.add(unit, **read, by=by.id, at=at)


def _must_be_askable(visit: Visit, url: str) -> None:
    try:
        peers_in.must_be_askable(visit.hub.mode, url)
    except Never:
        raise BadInput("no address that may be pulled", code="bad_peer_address") from None


def _words(text: str, name: str) -> list[str]:
    found = [word for word in re.split(r"[\s,，;；]+", text.strip()) if word]
    if len(found) > LISTED or any(len(word) > 300 for word in found):
        raise BadInput(f"too many {name}", code="bad_peer")
    return [word.lower() for word in found] if name == "hosts" else found


def _pin(unit: Unit, by: Person, visit: Visit) -> None:
    by.must_be(*KEEPERS)
    text = visit.form.first("key").strip()
    if peers.get(unit, visit.part("id")) is None:
        raise NotFound("no such peer")
    try:
        if "BEGIN CERTIFICATE" in text:
            kind, name = "x509", cap_seal.fingerprint(text)
        else:
            bulletin_seal.public(text)
            kind, name = "ed25519", bulletin_seal.fingerprint(text)
    except ValueError:
        raise BadInput(
            "neither a certificate in PEM nor an Ed25519 key in base64", code="bad_peer_key"
        ) from None
    peers.pin(
        unit, visit.part("id"), kind=kind, material=text[:20_000], fingerprint=name, by=by.id, at=visit.at
    )


def _revoke(unit: Unit, by: Person, visit: Visit) -> None:
    by.must_be(*KEEPERS)
    peers.revoke(unit, visit.part("id"), visit.form.first("key_id"), by=by.id, at=visit.at)


def _start(unit: Unit, by: Person, visit: Visit) -> None:
    by.must_be(*KEEPERS)
    peers.set_active(unit, visit.part("id"), is_active=True, by=by.id, at=visit.at)


def _stop(unit: Unit, by: Person, visit: Visit) -> None:
    by.must_be(*KEEPERS)
    peers.set_active(unit, visit.part("id"), is_active=False, by=by.id, at=visit.at)


def _senders(unit: Unit, by: Person, visit: Visit) -> None:
    by.must_be(*KEEPERS)
    peers.set_senders(
        unit, visit.part("id"), _words(visit.form.first("senders"), "senders"), by=by.id, at=visit.at
    )


def _quarantine(unit: Unit, by: Person, visit: Visit) -> None:
    try:
        since = datetime.fromisoformat(visit.form.first("since"))
    except ValueError:
        raise BadInput("no time", code="bad_peer") from None
    since = since if since.tzinfo else since.replace(tzinfo=visit.hub.zone)
    duty.quarantine(unit, visit.part("id"), since, by=by, at=visit.at)


_ACTS: Mapping[str, Callable[[Unit, Person, Visit], None]] = {
    "pin": _pin, "revoke": _revoke, "start": _start, "stop": _stop, "senders": _senders, "quarantine": _quarantine,
}  # fmt: skip
