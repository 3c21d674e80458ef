"""What a hub has told the outside world, and whether a disk after a power cut bears it out."""

import contextlib
import re
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from domain.errors import BadInput
from hub import anchor
from intake import spool

_MAIL = re.compile(rb"250 2\.0\.0 ([0-9A-Z]{4}-[0-9A-Z]{4})")
_RECEIVED = re.compile(rb'"code": ?"([0-9A-Z]{4}-[0-9A-Z]{4})"')
_FORM = re.compile(rb"/report/r/([0-9A-Z]{4})([0-9A-Z]{4})[A-Za-z0-9_-]{22}\?lang=")
_APPROVED = re.compile(rb'"id": ?"(rel_[0-9A-Z]+)"[^\0]*?"state": ?"(?:approved|publishing|published)"')
_TWIML = b"<Response/>"
_CALL = re.compile(rb"StatusCallback=([^& ]+)")
_TAG = re.compile(r"[?&]d=([^&]+)")
_LINK = re.compile(r'(?:href|url)="?[^" ]*?/((?:en/)?alerts/rel_[0-9A-Z]+)/')
_CAP = re.compile(r"public/cap/rel_[0-9A-Z]+\.xml")
GOES = ("approved", "publishing", "published")


@dataclass
class Told:
    """Everything said through sockets so far."""

    codes: set[str] = field(default_factory=set)  # of reports that a sender was told
    sms: int = 0  # webhooks answered, in the order in which they were sent
    approved: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)  # deliveries for which a provider call has begun

    def hear(self, sent: bytes) -> bool:
        """Take in what begins to leave; whether it was a promise."""
        before = (len(self.codes), self.sms, len(self.approved), len(self.called))
        self.codes |= {code.decode() for code in _MAIL.findall(sent)}
        if b'"state":"received"' in sent.replace(b" ", b""):
            self.codes |= {code.decode() for code in _RECEIVED.findall(sent)}
        self.codes |= {f"{a.decode()}-{b.decode()}" for a, b in _FORM.findall(sent)}
        self.sms += sent.count(_TWIML)
        self.approved |= {release.decode() for release in _APPROVED.findall(sent)}
        for url in _CALL.findall(sent):
            self.called |= set(_TAG.findall(unquote(url.decode())))
        return before != (len(self.codes), self.sms, len(self.approved), len(self.called))


def broken(image: Path, told: Told, sids: list[str]) -> list[str]:
    """What the disk does not bear out; `sids` are the MessageSids in the order in which they were sent."""
    frames = _frames(image / "spool")
    with contextlib.closing(sqlite3.connect(image / "tocsin.db")) as database:
        (state,) = database.execute("PRAGMA integrity_check").fetchone()
        if state != "ok":
            return [f"the database is damaged: {state}"]
        rows = database.execute("SELECT code, external_id FROM inbound").fetchall()
        releases = dict(database.execute("SELECT id, state FROM release").fetchall())
        whole = _promised(database)
        roots = {n for (n,) in database.execute("SELECT n FROM root")}
        sent = dict(database.execute("SELECT parcel || '-' || seq, state FROM delivery").fetchall())
    codes = {code for code, _ in rows} | {code for code, _ in frames}
    known = {external for _, external in rows} | {external for _, external in frames}
    found = [f"answered and lost: report {code}" for code in told.codes - codes]
    found += [f"answered and lost: sms {sid}" for sid in sids[: told.sms] if sid not in known]
    for release in told.approved:
        if releases.get(release) not in GOES:
            found.append(f"{release} was called approved and is {releases.get(release)}")
    for release, is_approved in releases.items():
        if (is_approved in GOES) is not (release in whole):
            found.append(f"{release} is {is_approved} with promises {release in whole}: half an approval")
    found += [
        f"{tag} was sent and is {sent.get(tag)}" for tag in told.called if sent.get(tag) in (None, "queued")
    ]
    found += [f"root {n} left and is not there" for n in anchor.read(image) if n not in roots]
    return found + _public(image / "public")


def _promised(database: sqlite3.Connection) -> set[str]:
    """Releases with a vote, a journal entry of it, and a dispatch for each main artefact of its digest."""
    query = """
        SELECT r.id FROM release r WHERE EXISTS (SELECT 1 FROM approval WHERE release = r.id AND act = 'approve')
        AND EXISTS (SELECT 1 FROM journal WHERE kind = 'release' AND entity = r.id AND act = 'approve')
        AND (SELECT count(*) FROM dispatch d WHERE d.release = r.id AND d.purpose = 'main') =
            (SELECT count(*) FROM artefact a WHERE a.release = r.id AND a.digest = r.digest AND a.purpose = 'main')
    """
    return {release for (release,) in database.execute(query)}


def _frames(directory: Path) -> list[tuple[str, str]]:
    """(code, external id) of every whole frame that waits in the spool."""
    found = []
    for path in directory.glob("*.frame"):
        with contextlib.suppress(BadInput):
            inbound, names = spool.parse(path.read_bytes())
            found.append((names.code, inbound.external_id))
    return found


def _public(root: Path) -> list[str]:
    """No index names a page that is not there, and nothing public is empty or torn."""
    found = []
    for index in (root / "index.html", root / "en/index.html"):
        if index.exists():
            named = set(_LINK.findall(index.read_text()))
            found += [
                f"{index.name} names {page}" for page in named if not (root / page / "index.html").exists()
            ]
    feed = root / "public/alerts.atom"
    if feed.exists():
        named = set(_CAP.findall(feed.read_text()))
        found += [f"the feed names {file}" for file in named if not (root / file).exists()]
    files = [path for path in root.rglob("*") if path.is_file() and not path.name.startswith(".")]
    endings = {".html": "</html>", ".atom": "</feed>", ".xml": "</alert>"}
    for path in files:
        end = endings.get(path.suffix)
        if end and not path.read_text(errors="replace").rstrip().endswith(end):
            found.append(f"{path.relative_to(root)} is torn")
    return found
