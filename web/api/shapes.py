"""How reports and their arrivals look in JSON."""

from datetime import datetime
from typing import Any

from domain.report import Arrival, Content, Report, ScanState
from domain.sender import SenderCheck
from store.scans import Scan


def instant(at: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None


def received(report_id: str, code: str, received_at: datetime, *, state: str = "received") -> dict[str, Any]:
    """What is known of a message that no report holds yet."""
    return {
        "id": report_id, "code": code, "state": state, "received_at": instant(received_at),
        "links": {"self": f"/v1/reports/{report_id}"},
    }  # fmt: skip


def arrival_state(state: str) -> str:
    """The word for an arrival without a report: a filed one was settled at the door (an exact STOP)."""
    return "handled" if state == Arrival.FILED.value else state


def sender(check: SenderCheck | None) -> dict[str, Any] | None:
    """Whether a mail is from whom it says; null for other channels."""
    if check is None:
        return None
    return {
        "verdict": check.verdict.value,
        "reasons": list(check.reasons),
        "checked_at": instant(check.checked_at),
    }


def scan(found: Scan | None) -> dict[str, Any]:
    """What a file holds, as read in the sandbox; ``not_scanned`` with the reason where it was not."""
    if found is None or found.state is not ScanState.SCANNED or found.found is None:
        state = "pending" if found and found.state is ScanState.PENDING else "not_scanned"
        return {"state": state, "reason": (found.reason if found else "not_applicable") or None}
    told = found.found
    return {
        "state": "scanned", "scanned_at": instant(found.changed_at), "is_container": told["is_container"],
        "entries": told["entries"], "findings": told["findings"],
        "documents": [
            {
                "path": d["path"], "media_type": d["media_type"], "tool": d.get("tool") or None,
                "text": d.get("text") or "", "is_cut": bool(d.get("is_cut")), "pages": d.get("pages") or None,
                "seals": [{**seal, "is_verified": False} for seal in d.get("seals", ())],
                "findings": d.get("findings") or [], "reason": d.get("reason") or None,
            }
            for d in told["documents"]
        ],
    }  # fmt: skip


def report(found: Report) -> dict[str, Any]:
    """A row of the queue with what it says."""
    place = f"/v1/reports/{found.id}"
    content = found.content
    return {
        "id": found.id,
        "code": found.code,
        "channel": found.channel,
        "organisation": found.organisation,
        "handling": found.handling.value,
        "state": found.state.value,
        "revision": found.revision,
        "received_at": instant(found.received_at),
        "filed_at": instant(found.filed_at),
        **content_of(found.id, content),
        "findings": list(found.findings),
        "trust": found.trust,
        "sender_check": sender(found.sender),
        "claimed_by": found.claimed_by or None,
        "claimed_at": instant(found.claimed_at),
        "event_code": found.event_code,
        "grade": found.grade,
        "area": found.area,
        "closed_reason": found.closed_reason,
        "merged_into": found.merged_into or None,
        "is_aside": found.is_aside,
        "links": {"self": place, "original": f"{place}/original", "journal": f"/v1/journal/report/{found.id}"},
    }  # fmt: skip


def content_of(report_id: str, content: Content) -> dict[str, Any]:
    """What one version says."""
    place = f"/v1/reports/{report_id}"
    return {
        "text": content.text,
        "language": content.language,
        "facts": {
            name: [{"value": f.value, "origin": f.origin, "note": f.note} for f in facts]
            for name, facts in content.facts.items()
        },
        "attachments": [
            {
                "sha256": a.sha256,
                "name": a.name,
                "media_type": a.media_type,
                "declared_type": a.declared_type,
                "size": a.size,
                "is_inline": a.is_inline,
                "href": f"{place}/attachments/{a.sha256}",
            }
            for a in content.attachments
        ],
    }
