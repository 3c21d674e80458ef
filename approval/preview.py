"""What author and approver see: the bytes themselves, counted by the functions that send them."""

from collections.abc import Mapping
from typing import Any

from approval import aloud, letters
from approval.freeze import Frozen
from channels.codecs.cap_check import validate
from channels.text import segments
from domain.artefact import Artefact


def preview(frozen: Frozen) -> dict[str, Any]:
    """JSON of everything that would leave, and of the endings prepared with it.

    ``{"release", "revision", "digest", "identifier", "sent", "list_version", "reach", "manifest",
    "artefacts": [...]}``; each artefact as view() tells it. `reach` is over all channels.
    """
    return {
        "release": frozen.release_id,
        "revision": frozen.revision,
        "digest": frozen.digest,
        "identifier": frozen.identifier,
        "sent": frozen.sent.isoformat(),
        "list_version": frozen.list_version,
        "reach": frozen.reach,
        "manifest": dict(frozen.manifest),
        "artefacts": [view(a, headline, frozen.counts) for a, headline in frozen.with_headlines()],
    }


def view(artefact: Artefact, headline: str = "", counts: Mapping[str, int] | None = None) -> dict[str, Any]:
    """One artefact: its text out of its bytes, hash, size, and what its channel makes of it.

    SMS: encoding, units, segments and the text of each part. E-mail: its subject. Broadcast: the seconds it
    takes to read aloud. `reach` of the channel over all languages where it has been counted. CAP: findings of
    the rules.
    """
    text = artefact.body.decode()
    shown: dict[str, Any] = {
        "id": artefact.id,
        "channel": artefact.channel,
        "language": artefact.language,
        "purpose": artefact.purpose.value,
        "media_type": artefact.media_type,
        "sha256": artefact.sha256,
        "bytes": len(artefact.body),
        "headline": headline,
        "text": text,
    }
    if artefact.channel == "sms":
        counted = segments(text)
        shown |= {
            "encoding": counted.encoding,
            "units": counted.units,
            "per_part": counted.per_part,
            "segments": counted.parts,
            "parts": list(counted.texts),
        }
    if artefact.channel == "telegram":
        shown["units"] = len(text.encode("utf-16-le")) // 2
    if artefact.channel == "email":
        subject = letters.subject_of(text)
        shown |= {"subject": subject, "subject_characters": len(subject)}
    if artefact.channel == "broadcast":
        shown["seconds"] = aloud.seconds(text, artefact.language)
    if counts and artefact.channel in counts:
        shown["reach"] = counts[artefact.channel]
    if artefact.channel == "cap_feed":
        shown["findings"] = [
            {"rule": f.rule, "severity": f.severity.value, "line": f.line, "message": f.message}
            for f in validate(artefact.body, as_output=True)
        ]
    return shown
