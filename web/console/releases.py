"""One release from draft to the last receipt: what leaves, who lets it out, and how far it has got."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response

from approval import desk, gather
from approval.policy import policy_for
from domain.errors import BadInput, Flaw, HubError, NotFound, Refused
from domain.person import Person, Role
from domain.release import CURRENT, Release, State
from store import areas, chains, hub, people, promises, releases
from store.unit import Unit
from web.console import bytes_shown, changes, endings
from web.console.drafts import EDITABLE, load
from web.console.files import download
from web.console.history import event_name, name_of, timeline
from web.console.monitor import MOVING, OUT, Monitor, monitor
from web.console.release_acts import submit, tried
from web.console.visit import Visit
from web.page import go

PAGE = 50
REFRESH = 5  # s between looks at a release that is being sent, where no script does it
VIEWS: Mapping[str, tuple[State, ...]] = {
    "all": (), "draft": (State.DRAFT, State.RETURNED), "submitted": (State.SUBMITTED,), "current": tuple(CURRENT),
    "over": (State.STOPPED, State.REJECTED, State.CANCELLED, State.CORRECTED, State.SUPERSEDED, State.EXPIRED),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A release as a line of the list and as the head of its page."""

    release: Release
    headline: str
    author: str
    submitter: str
    places: list[str]
    event: str
    update: int  # 0: a first message; 2, 3, ...: which one of its chain


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What stands beside a release on its page."""

    moments: Sequence[Any]
    chain: Sequence[Seen]  # what it replaced and what replaced it, oldest first; alone: nothing
    numbers: Monitor | None
    votes: Sequence[str]  # names of those who approved the digest in force
    quorum: int
    approvers: Sequence[str]  # names of those who may
    changed: Sequence[changes.Change]


def listed(visit: Visit) -> Response:
    """What waits for this person's approval, then the releases, newest first."""
    view = visit.query("view") if visit.query("view") in VIEWS else "all"
    states = [s.value for s in VIEWS[view]]

    def work(unit: Unit) -> tuple[list[Seen], list[Seen]]:
        waiting = [r for r in releases.page(unit, limit=PAGE, states=[State.SUBMITTED.value])
                   if "approve" in _may(r, visit.person)]  # fmt: skip
        rows = releases.page(unit, limit=PAGE, states=states)
        mine = [_seen(unit, r, visit.language) for r in waiting]
        return mine, [_seen(unit, r, visit.language) for r in rows]

    mine, rows = visit.read(work)
    return visit.show(
        "releases.html", mine=mine, rows=rows, view=view, views=list(VIEWS), here="/console/releases"
    )


def show_release(visit: Visit, problem: HubError | None = None) -> Response:
    """A draft with its preview, a submission to decide on, or a release on its way; ``?part=monitor`` its numbers."""
    release = load(visit)
    if visit.query("part") == "monitor" and problem is None:
        return _show_numbers(visit, release)
    seen, around = visit.read(
        lambda unit: (
            _seen(unit, release, visit.language),
            _around(unit, release, visit.language, visit.at, visit.hub.outgoing.spares),
        )
    )
    preview = bytes_shown.preview(visit.store, visit.hub, release, visit.at)
    is_moving = release.state in MOVING and problem is None
    edits = f"/console/releases/{release.id}/edit"
    names = bytes_shown.flaw_names(release, preview.pieces, visit.language)
    return visit.show(
        "release.html", problem=problem, seen=seen, around=around, release=release, preview=preview,
        may=_may(release, visit.person, is_whole=not preview.flaws), is_out=release.state in OUT,
        why_not=_why_not(release, visit.person), numbers=around.numbers, public=_public(visit, release),
        refresh=REFRESH if is_moving else 0, here="/console/releases", reason=visit.form.first("reason"),
        flaws=[*getattr(problem, "flaws", ()), *preview.flaws], edits=edits, flaws_at=edits,
        flaw_names=names | {"/reach": visit.say("收件人数")},
    )  # fmt: skip


def change(visit: Visit) -> Response:
    """One act on the release, then its page again; a refused one shows what is there now."""
    name, release_id = visit.part("act"), visit.part("id")
    if name not in _ACTS:
        raise NotFound("no such act")
    try:
        _ACTS[name](visit, release_id)
    except (Refused, BadInput) as error:
        return show_release(visit, error)
    return go(f"/console/releases/{release_id}?done={name}")


def artefact(visit: Visit) -> Response:
    """The exact bytes of one channel and language, to be saved."""
    found = visit.read(lambda unit: releases.artefact(unit, visit.part("artefact")))
    release = load(visit)
    mine = visit.read(lambda unit: releases.artefacts(unit, release.id, release.digest))
    if found is None or found.id not in {a.id for a in mine}:
        raise NotFound("no such bytes")
    ending = bytes_shown.ENDINGS.get(found.media_type.partition(";")[0], ".txt")
    return download(found.body, f"{release.id}.{found.channel}.{found.language}{ending}", found.sha256)


def _approve(visit: Visit, release_id: str) -> None:
    digest, revision = visit.form.first("digest"), visit.form.number("revision")
    typed = visit.form.first("reach").replace(",", "").replace("，", "").replace(" ", "")

    def work(unit: Unit, by: Person) -> list[str]:
        release = desk.approve(unit, release_id, digest=digest, by=by, at=visit.at, revision=revision)
        # The number is the desk's own lock: who types it has read it; /v1 binds by the digest alone.
        # Raising takes the approval back, and the room's own refusals were heard first.
        if release.reach and typed != str(release.reach):
            raise BadInput(
                "another number", code="wrong_number", flaws=[Flaw("/reach", "is the number shown")]
            )
        return [dispatch.id for dispatch in promises.of_release(unit, release_id)]

    for dispatch_id in tried(visit, "approve", release_id, work):
        visit.hub.bell("relay", dispatch_id)


def _with_reason(name: str, act: Callable[..., Release]) -> Callable[[Visit, str], None]:
    def run(visit: Visit, release_id: str) -> None:
        reason = visit.form.first("reason")
        tried(
            visit, name, release_id, lambda unit, by: act(unit, release_id, reason=reason, by=by, at=visit.at)
        )

    return run


_ACTS: Mapping[str, Callable[[Visit, str], None]] = {
    "submit": submit,
    "approve": _approve,
    "return": _with_reason("return", desk.send_back),
    "reject": _with_reason("reject", desk.reject),
}


def _show_numbers(visit: Visit, release: Release) -> Response:
    numbers = (
        visit.read(lambda unit: monitor(unit, release, visit.at, visit.hub.outgoing.spares))
        if release.state in OUT
        else None
    )
    return visit.fragment("monitor.html", numbers=numbers, release=release, public=_public(visit, release))


def _may(release: Release, person: Person, *, is_whole: bool = True) -> set[str]:
    """The acts this person is shown; the approval room decides again when one is sent."""
    found: set[str] = endings.may_end(release, person)
    if person.roles & {Role.OFFICER, Role.APPROVER}:
        found |= {"edit"} if release.state in EDITABLE else set()
        found |= {"submit"} if release.state is State.DRAFT and is_whole else set()
    if release.state is State.SUBMITTED and not _why_not(release, person):
        found |= {"approve", "return", "reject"}
    return found


def _why_not(release: Release, person: Person) -> str:
    """The code of why this person cannot approve it; '' if he can."""
    if Role.APPROVER not in person.roles:
        return "role_missing"
    return "own_work" if person.id in _wrote(release) else ""


def _wrote(release: Release) -> set[str]:
    return {release.author, release.submitted_by, *release.editors}


def _public(visit: Visit, release: Release) -> Mapping[str, str]:
    """Where everybody sees it: channel -> address."""
    site = visit.hub.settings.public_site
    known = {"web_notice": f"{site}/alerts/{release.id}/", "cap_feed": f"{site}/public/cap/{release.id}.xml"}
    return {channel: address for channel, address in known.items() if channel in release.draft.channels}


def _around(unit: Unit, release: Release, language: str, at: datetime, spares: Collection[str]) -> Around:
    known: dict[str, str] = {}
    policy = policy_for(release.draft, hub.mode(unit))
    votes = releases.votes(unit, release.id, release.digest) if release.digest else set()
    able = [p for _, p in people.everyone(unit)
            if p.is_active and Role.APPROVER in p.roles and p.id not in _wrote(release)]  # fmt: skip
    return Around(
        moments=timeline(unit, [("release", release.id)], language),
        chain=_chain(unit, release, language),
        numbers=monitor(unit, release, at, spares) if release.state in OUT else None,
        votes=[name_of(unit, person, language, known) for person in sorted(votes)],
        quorum=policy.quorum,
        approvers=[p.name for p in able],
        changed=_changed(unit, release),
    )


def _chain(unit: Unit, release: Release, language: str) -> list[Seen]:
    before = gather.chain_of(unit, release.draft.supersedes)
    after = [releases.get(unit, found) for found, _ in chains.successors(unit, release.id)]
    whole = [*before, release, *(r for r in after if r)]
    return [_seen(unit, r, language) for r in whole] if len(whole) > 1 else []


def _changed(unit: Unit, release: Release) -> list[changes.Change]:
    """The submission against what it replaces: an update is approved for what is new in it."""
    old = releases.get(unit, release.draft.supersedes) if release.draft.supersedes else None
    if old is None or not release.digest:
        return []
    before = releases.artefacts(unit, old.id, old.digest)
    return changes.changes(before, releases.artefacts(unit, release.id, release.digest))


def _seen(unit: Unit, release: Release, language: str) -> Seen:
    known: dict[str, str] = {}
    names = areas.names(unit, release.draft.areas)
    headlines = releases.headlines(unit, release.id, release.digest) if release.digest else {}
    chain = gather.chain_of(unit, release.draft.supersedes)
    return Seen(
        release=release,
        headline=headlines.get(language) or next(iter(headlines.values()), ""),
        author=name_of(unit, release.author, language, known),
        submitter=name_of(unit, release.submitted_by or release.author, language, known),
        places=[names.get(a, (a, a))[0 if language == "zh-CN" else 1] for a in release.draft.areas],
        event=event_name(release.draft.event_code, language),
        update=len(chain) + 1 if chain else 0,
    )
