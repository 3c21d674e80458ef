"""What must be right before a draft may be submitted: its fields, then its bytes."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from approval import aloud, elements, leads, letters, wording
from approval.freeze import ALL_LANGUAGES, Frozen, Place, render
from approval.gather import ADDRESSED, Inputs
from channels.codecs.cap_check import validate
from channels.text import segments
from domain.artefact import Artefact
from domain.errors import BadInput, Flaw, NotFound
from domain.events import event_types
from domain.handling import Handling, Mode
from domain.place import canonical
from domain.release import LIFE_THREAT, MOVES, Draft, Kind
from templates.library import LANGUAGES, check_fields
from templates.shape import spoken_marks

CHANNELS = ("sms", "email", "telegram", "web_notice", "cap_feed", "broadcast")
LONGEST = timedelta(days=30)  # what is still true after a month is not a message: it is issued anew
LATE = timedelta(minutes=1)  # clocks of form and hub may differ by that much
MOST_CHAT = 4096  # UTF-16 units of one Telegram message ("Bot API", sendMessage); a longer one is refused
MOST_SEGMENTS = 10  # PROMISES.md H70; some carriers cut a longer concatenation
MOST_AREAS = 200  # counties of a large province; more belong under the code of the province
MOST_NOTICE = 8_000  # bytes: with the shell and its style (6 KB) a page stays within 14 KB
_RESPONSES = (Kind.RESPONSE_START, Kind.RESPONSE_ADJUST, Kind.RESPONSE_END)


def freeze(inputs: Inputs, place: Place, *, at: datetime) -> Frozen:
    """The bytes that may be submitted. Raises BadInput with all flaws found (code ``flawed``)."""
    frozen, flaws = trial(inputs, place, at=at)
    if flaws or frozen is None:
        raise BadInput("the draft cannot be submitted yet", code="flawed", flaws=flaws)
    return frozen


def trial(inputs: Inputs, place: Place, *, at: datetime) -> tuple[Frozen | None, list[Flaw]]:
    """The bytes, as far as there are any, and everything that forbids submitting them."""
    draft = inputs.release.draft
    flaws = flaws_of_draft(inputs, at=at, lanes=place.lanes)
    flaws += leads.flaws(draft.issuer, draft.fields, public_url=place.public_url, numbers=place.numbers)
    try:
        frozen = render(inputs, place, at=at)
    except (BadInput, NotFound) as error:
        return None, flaws or [Flaw("", error.detail)]
    except (KeyError, ValueError):  # a flawed field can be beyond printing; then it has been named
        if not flaws:
            raise
        return None, flaws
    return frozen, [*flaws, *flaws_of_bytes(inputs, frozen, place=place)]


def flaws_of_draft(inputs: Inputs, *, at: datetime, lanes: frozenset[str] | None = None) -> list[Flaw]:
    """What is wrong with what the author wrote; pointers are those of the body of ``POST /v1/releases``.

    A channel without a lane would be promised and never kept: it is refused here.
    """
    draft = inputs.release.draft
    return [
        *check_fields(inputs.template, draft.fields),
        *wording.flaws_of_author(draft.issuer, draft.fields),
        *_past(inputs, at),
        *_level(inputs),
        *_times(draft, at),
        *_places(inputs),
        *_ways(inputs, lanes),
        *_kind(draft),
        *_chain(inputs),
    ]


def flaws_of_bytes(inputs: Inputs, frozen: Frozen, *, place: Place) -> list[Flaw]:
    """What is wrong with the finished texts; pointers are ``/artefacts/<channel>/<language>/<purpose>``."""
    found: list[Flaw] = []
    for artefact in frozen.artefacts:
        pointer = f"/artefacts/{artefact.channel}/{artefact.language}/{artefact.purpose}"
        text = artefact.body.decode()
        if point := wording.hidden(text, may_break_lines=True):
            found.append(Flaw(pointer, f"holds a character that cannot be seen: {point}"))
        if word := wording.contradiction(text, inputs.mode):
            found.append(Flaw(pointer, f"contradicts the mode {inputs.mode}: {word}"))
        found += [Flaw(pointer, detail) for detail in _size(artefact, text, inputs.mode)]
        found += [Flaw(pointer, detail) for detail in _cap(artefact)]
    return [*found, *elements.missing(inputs, frozen, place=place)]


def warnings(inputs: Inputs, frozen: Frozen, *, at: datetime) -> list[str]:
    """What an approver should know and nothing forbids; stable codes."""
    draft = inputs.release.draft
    found = [f"no_recipients:{channel}" for channel in inputs.counts if inputs.counts[channel] == 0]
    if draft.expires - at < timedelta(minutes=30):
        found.append("expires_soon")
    longest = inputs.template.policy.get("longest_hours")
    start = draft.onset or draft.effective or at
    if longest and draft.expires - start > timedelta(hours=longest):
        found.append("longer_than_usual")
    if set(draft.languages) != set(LANGUAGES):
        found.append("not_in_all_languages")
    found += [
        f"many_segments:{a.language}"
        for a in frozen.artefacts
        if a.channel == "sms" and segments(a.body.decode()).parts > 4
    ]
    return found


def _past(inputs: Inputs, at: datetime) -> Iterator[Flaw]:
    """What has happened did not happen tomorrow: a slip of the pen in the time of an earthquake."""
    for field in inputs.template.fields:
        value = inputs.release.draft.fields.get(field.name)
        if not field.is_past or not isinstance(value, str):
            continue
        try:
            is_ahead = datetime.fromisoformat(value) > at + LATE
        except (ValueError, TypeError):  # no time, or one without its offset: check_fields has said so
            continue
        if is_ahead:
            yield Flaw(f"/fields/{field.name}", "lies in the future")


def _level(inputs: Inputs) -> Iterator[Flaw]:
    draft = inputs.release.draft
    if inputs.template.needs_colour and draft.colour is None:
        yield Flaw("/colour", "is required: a warning has one of four levels (突发事件应对法 art. 63)")
    if not inputs.template.needs_colour and draft.colour is not None:
        yield Flaw("/colour", "only warnings have a colour")
    if draft.response_level is None and draft.kind in (Kind.RESPONSE_START, Kind.RESPONSE_ADJUST):
        yield Flaw("/response_level", "is required for a response")
    if draft.response_level is not None and draft.kind not in _RESPONSES:
        yield Flaw("/response_level", "only responses have one")
    if draft.repeat_unsure and draft.colour not in LIFE_THREAT:
        yield Flaw(
            "/repeat_unsure", "is for red and orange: only where lives are at stake may a message come twice"
        )
    for name, value in (("grade", draft.grade), ("response_level", draft.response_level)):
        if value is not None and value not in (1, 2, 3, 4):
            yield Flaw(f"/{name}", "is 1, 2, 3 or 4")


def _times(draft: Draft, at: datetime) -> Iterator[Flaw]:
    if draft.expires <= at:
        yield Flaw("/expires", "lies in the past")
    elif draft.expires - at > LONGEST + LATE:
        yield Flaw("/expires", f"is more than {LONGEST.days} days away")
    for name, value in (("effective", draft.effective), ("onset", draft.onset)):
        if value is not None and value >= draft.expires:
            yield Flaw(f"/{name}", "is not before expires")
    if draft.review_by is not None and draft.review_by <= at:
        yield Flaw("/review_by", "lies in the past")


def _places(inputs: Inputs) -> Iterator[Flaw]:
    draft = inputs.release.draft
    if not draft.areas:
        yield Flaw("/areas", "is required: nothing is issued for everywhere")
    if len(draft.areas) > MOST_AREAS:
        yield Flaw("/areas", f"has at most {MOST_AREAS} entries")
    for pointer, codes in (("/areas", draft.areas), ("/audience/areas", draft.audience.areas)):
        seen: set[str] = set()
        for n, code in enumerate(codes):
            try:
                known = canonical(code)
            except BadInput as error:
                yield Flaw(f"{pointer}/{n}", error.detail)
                continue
            if known not in inputs.names:
                yield Flaw(f"{pointer}/{n}", "is no division of the table")
            if known in seen:
                yield Flaw(f"{pointer}/{n}", "stands there twice")
            seen.add(known)


def _ways(inputs: Inputs, lanes: frozenset[str] | None) -> Iterator[Flaw]:
    draft, template = inputs.release.draft, inputs.template
    channels = [c for c in CHANNELS if c in template.channels and (lanes is None or c in lanes)]
    languages = [x for x in LANGUAGES if x in template.names]
    for pointer, chosen, known in (
        ("/channels", draft.channels, channels),
        ("/languages", draft.languages, languages),
    ):
        if not chosen:
            yield Flaw(pointer, "is required")
        if len(set(chosen)) != len(chosen):
            yield Flaw(pointer, "names one twice")
        for n, name in enumerate(chosen):
            if name not in known:
                yield Flaw(f"{pointer}/{n}", "is one of " + ", ".join(known))
    if draft.handling is not Handling.PUBLIC and set(draft.channels) - set(ADDRESSED):
        yield Flaw("/handling", "only what is public goes to pages and feeds")


def _kind(draft: Draft) -> Iterator[Flaw]:
    if not draft.issuer.strip():
        yield Flaw("/issuer", "is required: 发布单位, 突发事件应对法 art. 64")
    if draft.event_code not in event_types():
        yield Flaw("/event_code", "is no event of the table")
    if draft.event_code.startswith("14"):
        # 突发事件应对法 art. 69: social-security events are reported up; art. 63 and 64 ask no warning for them.
        # The permission that may allow one does not exist yet, so none leaves.
        yield Flaw("/event_code", "social-security events need a permission that nobody holds")


def _chain(inputs: Inputs) -> Iterator[Flaw]:
    """What is replaced must be in force: an update of something that has ended is a new message."""
    if not inputs.release.draft.supersedes:
        return
    if not inputs.chain or not MOVES.allows(inputs.chain[-1].state, "supersede"):
        yield Flaw("/supersedes", "is no longer in force")
    elif inputs.chain[-1].draft.event_code != inputs.release.draft.event_code:
        yield Flaw("/supersedes", "speaks of another event")


def _size(artefact: Artefact, text: str, mode: Mode) -> Iterator[str]:
    if artefact.channel == "sms" and (parts := segments(text).parts) > MOST_SEGMENTS:
        yield f"is {parts} SMS segments long; at most {MOST_SEGMENTS}"
    if artefact.channel == "telegram" and (units := len(text.encode("utf-16-le")) // 2) > MOST_CHAT:
        yield f"is {units} characters long; at most {MOST_CHAT}"
    if artefact.channel == "web_notice" and len(artefact.body) > MOST_NOTICE:
        yield f"is {len(artefact.body)} bytes long; at most {MOST_NOTICE}"
    if artefact.channel == "email":
        yield from letters.flaws(text)
    if artefact.channel == "broadcast":
        most = aloud.LONGEST_SECONDS + aloud.seconds(spoken_marks(mode, artefact.language), artefact.language)
        if (needed := aloud.seconds(text, artefact.language)) > most:
            yield f"takes {needed} seconds to read aloud; at most {most}"


def _cap(artefact: Artefact) -> Iterator[str]:
    if artefact.language == ALL_LANGUAGES:
        for finding in validate(artefact.body, as_output=True):
            if finding.is_error:
                yield f"{finding.rule}: {finding.message}"
