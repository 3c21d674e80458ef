"""Rules of a CAP alert as a whole: identity, times, scope, references, code lists."""

import re
from collections.abc import Iterator

from lxml import etree

from channels.codecs.cap_finding import Finding
from channels.codecs.cap_page import Page, moment
from channels.codecs.markup import text_of, words

_IDENTITY = re.compile(r"[^\s,&<]+")  # CAP 1.2 §3.2.1: no spaces, commas or restricted characters (< and &)
_LIKE_A_DOMAIN = re.compile(r"[^@]+@[^@]+|[^.]+(\.[^.]+)+|urn:.+")
_LISTS = {
    "status": frozenset({"Actual", "Exercise", "System", "Test", "Draft"}),
    "msgType": frozenset({"Alert", "Update", "Cancel", "Ack", "Error"}),
    "scope": frozenset({"Public", "Restricted", "Private"}),
    "category": frozenset(
        {
            "Geo",
            "Met",
            "Safety",
            "Security",
            "Rescue",
            "Fire",
            "Health",
            "Env",
            "Transport",
            "Infra",
            "CBRNE",
            "Other",
        }
    ),
    "responseType": frozenset(
        {"Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None"}
    ),
    "urgency": frozenset({"Immediate", "Expected", "Future", "Past", "Unknown"}),
    "severity": frozenset({"Extreme", "Severe", "Moderate", "Minor", "Unknown"}),
    "certainty": frozenset({"Observed", "Likely", "Possible", "Unlikely", "Unknown"}),
}
_NEEDS_REFERENCES = ("Update", "Cancel", "Ack", "Error")


def identity(page: Page) -> Iterator[Finding]:
    """R01 identifier and R02 sender."""
    for rule, name in (("R01", "identifier"), ("R02", "sender")):
        for element in page.all(page.root, name):
            if not _IDENTITY.fullmatch("".join(map(str, element.itertext()))):
                yield page.error(rule, element, f"{name} is empty or holds a blank, a comma, '<' or '&'")
    sender = page.first(page.root, "sender")
    if (
        sender is not None
        and _IDENTITY.fullmatch(text_of(sender))
        and not _LIKE_A_DOMAIN.fullmatch(text_of(sender))
    ):
        told = "sender is not globally unique: a domain name, an address or an OID"
        yield page.duty("R02", sender, told, is_note=False)


def times(page: Page) -> Iterator[Finding]:
    """R03: ``YYYY-MM-DDThh:mm:ss+hh:mm``, no Z, no fraction (CAP 1.2 §3.3.2)."""
    for name in ("sent", "effective", "onset", "expires"):
        for element in page.each(name):
            if moment(text_of(element)) is None:
                yield page.error(
                    "R03", element, f"{name} is not YYYY-MM-DDThh:mm:ss with an offset such as +08:00"
                )


def order_of_times(page: Page) -> Iterator[Finding]:
    """R04: effective, or sent without it, is not after expires; onset should not be."""
    sent = page.time(page.root, "sent")
    for info in page.infos():
        expires = page.time(info, "expires")
        if expires is None:
            continue
        at = page.first(info, "expires")
        start = page.time(info, "effective") if page.first(info, "effective") is not None else sent
        if at is not None and start is not None and start > expires:
            yield page.error("R04", at, "expires before it takes effect")
            continue
        onset = page.time(info, "onset")
        if at is not None and onset is not None and onset > expires:
            yield page.warning("R04", at, "expires before its onset")


def scope(page: Page) -> Iterator[Finding]:
    """R05 restriction with Restricted and only there; R06 addresses with Private."""
    scope = page.text(page.root, "scope")
    restriction = page.text(page.root, "restriction")
    addresses = page.text(page.root, "addresses")
    at = page.first(page.root, "restriction")
    if at is not None and restriction and scope in ("Public", "Private"):
        yield page.error("R05", at, f"restriction with scope {scope}")
    if scope == "Restricted" and not restriction:
        yield page.error("R05", _at(page, "scope"), "scope Restricted without a restriction")
    if scope == "Private" and not addresses:
        yield page.error("R06", _at(page, "scope"), "scope Private without addresses")
    for name in ("addresses", "incidents"):
        if page.text(page.root, name).count('"') % 2:
            yield page.error("R06", _at(page, name), f"a quotation mark in {name} is not closed")


def references(page: Page) -> Iterator[Finding]:
    """R07 present where owed, R08 triplets, R09 not itself, R10 not of a later time."""
    kind = page.text(page.root, "msgType")
    listed = words(page.text(page.root, "references"))
    if kind in _NEEDS_REFERENCES and not listed:
        yield page.error("R07", _at(page, "msgType"), f"{kind} does not say which message it is about")
    for item in listed:
        yield from _reference(page, item)


def _reference(page: Page, item: str) -> Iterator[Finding]:
    at = _at(page, "references")
    parts = item.split(",")
    sent = moment(parts[2]) if len(parts) == 3 else None
    if sent is None or not all(_IDENTITY.fullmatch(p) for p in parts):
        yield page.error("R08", at, "references are sender,identifier,sent triplets with blanks between them")
        return
    own_sent = page.time(page.root, "sent")
    if (parts[0], parts[1]) == (page.text(page.root, "sender"), page.text(page.root, "identifier")):
        yield page.error("R09", at, "the alert refers to itself")
    if own_sent is not None and sent > own_sent:
        yield page.warning("R10", at, "refers to a message that was sent after it")


def code_lists(page: Page) -> Iterator[Finding]:
    """R25: the lists are exact and case-sensitive; ``Very Likely`` is of CAP 1.0."""
    for name, allowed in _LISTS.items():
        for element in page.each(name):
            value = "".join(map(str, element.itertext()))
            if value == "Very Likely" and name == "certainty":
                yield page.error("R25", element, "'Very Likely' is of CAP 1.0: write Likely")
            elif value not in allowed:
                yield page.error("R25", element, f"not a {name} of CAP")


def unknowns(page: Page) -> Iterator[Finding]:
    """R37: Unknown says nothing to the public of a real alert."""
    if page.text(page.root, "status") != "Actual":
        return
    for name in ("urgency", "severity", "certainty"):
        for element in page.each(name):
            if text_of(element) == "Unknown":
                yield page.warning("R37", element, f"{name} is Unknown in an actual alert")


def info_present(page: Page) -> Iterator[Finding]:
    """R36: an alert without info is legal (heartbeat, Cancel, Ack), and tells the public nothing."""
    if not page.infos():
        yield page.duty("R36", page.root, "no info block")


def _at(page: Page, name: str) -> etree._Element:
    child = page.first(page.root, name)
    return page.root if child is None else child
