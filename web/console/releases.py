"""One release from draft to the last receipt: what leaves, who lets it out, and how far it has got."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.responses import Response

from approval import desk
from approval.attempts import attempt
from domain.errors import BadInput, HubError, NotAllowed, NotFound, Refused
from domain.person import Person, Role
from domain.release import CURRENT, MOVES, Release, State
from outbox import progress
from store import areas, promises, releases
from store.unit import Unit
from web.console import bytes_shown
from web.console.drafts import EDITABLE, load
from web.console.history import event_name, name_of, timeline
from web.console.reports import download
from web.console.visit import Visit
from web.page import go

T = TypeVar("T")
PAGE = 50
REFRESH = 5  # s between looks at a release that is being sent; nothing can be typed on that page
MOVING = (State.APPROVED, State.PUBLISHING)
OUT = (*MOVING, State.PUBLISHED, State.STOPPED, State.CANCELLED, State.CORRECTED, State.SUPERSEDED, State.UNLIFTED,
       State.EXPIRED)  # fmt: skip
VIEWS: Mapping[str, tuple[State, ...]] = {
    "all": (), "draft": (State.DRAFT, State.RETURNED), "submitted": (State.SUBMITTED,), "current": tuple(CURRENT),
    "over": (State.STOPPED, State.REJECTED, State.CANCELLED, State.CORRECTED, State.SUPERSEDED, State.EXPIRED),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A release with what its page shows beside it."""

    release: Release
    headline: str
    author: str
    submitter: str
    places: list[str]
    event: str
    moments: list[Any]
    summary: Mapping[str, Any] = field(default_factory=dict)


def listed(visit: Visit) -> Response:
    """The releases, newest first."""
    view = visit.query("view") if visit.query("view") in VIEWS else "all"
    states = [s.value for s in VIEWS[view]]

    def work(unit: Unit) -> list[Seen]:
        return [_seen(unit, r, visit.language) for r in releases.page(unit, limit=PAGE, states=states)]

    return visit.show("releases.html", rows=visit.read(work), view=view, views=list(VIEWS))


def show_release(visit: Visit, problem: HubError | None = None) -> Response:
    """A draft with its preview, a submission to decide on, or a release on its way."""
    release = load(visit)
    seen = visit.read(lambda unit: _seen(unit, release, visit.language))
    preview = bytes_shown.preview(visit.hub, release, visit.at)
    is_moving = release.state in MOVING and problem is None
    flaws = [*getattr(problem, "flaws", ()), *preview.flaws]
    edits = f"/console/releases/{release.id}/edit"
    return visit.show(
        "release.html", problem=problem, seen=seen, release=release, preview=preview,
        may=_may(release, visit.person, is_whole=not preview.flaws), is_out=release.state in OUT,
        refresh=REFRESH if is_moving else 0, here="/console/releases", reason=visit.form.first("reason"),
        public=f"{visit.hub.settings.public_site}/alerts/{release.id}/", flaws=flaws, edits=edits,
        flaw_names=bytes_shown.flaw_names(release, preview.pieces, visit.language), flaws_at=edits,
    )  # fmt: skip


def ask_stop(visit: Visit) -> Response:
    """The page that asks for the reason; the monitor renews itself, so nothing is typed there."""
    release = load(visit)
    if "stop" not in _may(release, visit.person):
        raise NotAllowed("stopping is for the duty room, while something is being sent")
    seen = visit.read(lambda unit: _seen(unit, release, visit.language))
    return visit.show("stop.html", seen=seen, release=release, here="/console/releases", reason="")


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


def _submit(visit: Visit, release_id: str) -> None:
    frozen = bytes_shown.frozen_of(visit.hub, release_id, visit.at)
    _try(visit, "submit", lambda unit, by: desk.submit(unit, release_id, frozen, by=by, at=visit.at))


def _approve(visit: Visit, release_id: str) -> None:
    digest, revision = visit.form.first("digest"), visit.form.number("revision")

    def work(unit: Unit, by: Person) -> list[str]:
        desk.approve(unit, release_id, digest=digest, by=by, at=visit.at, revision=revision)
        return [dispatch.id for dispatch in promises.of_release(unit, release_id)]

    for dispatch_id in _try(visit, "approve", work):
        visit.hub.bell("relay", dispatch_id)


def _with_reason(name: str, act: Callable[..., Release]) -> Callable[[Visit, str], None]:
    def run(visit: Visit, release_id: str) -> None:
        reason = visit.form.first("reason")
        _try(visit, name, lambda unit, by: act(unit, release_id, reason=reason, by=by, at=visit.at))

    return run


def _try(visit: Visit, act: str, work: Callable[[Unit, Person], T]) -> T:
    """Run an act on the release; a refused one is in the journal before the officer reads of it."""
    tried = attempt(visit.hub.store, visit.in_session(work), act=act, by=visit.person, at=visit.at,
                    release_id=visit.part("id"))  # fmt: skip
    return tried.result()


_ACTS: Mapping[str, Callable[[Visit, str], None]] = {
    "submit": _submit,
    "approve": _approve,
    "return": _with_reason("return", desk.send_back),
    "reject": _with_reason("reject", desk.reject),
    "stop": _with_reason("stop", desk.stop),
}


def _may(release: Release, person: Person, *, is_whole: bool = True) -> set[str]:
    """The acts this person is shown; the approval room decides again when one is sent."""
    found: set[str] = set()
    if person.roles & {Role.OFFICER, Role.APPROVER}:
        found |= {"edit"} if release.state in EDITABLE else set()
        found |= {"submit"} if release.state is State.DRAFT and is_whole else set()
        found |= {"stop"} if MOVES.allows(release.state, "stop") else set()
    wrote = {release.author, release.submitted_by, *release.editors}
    if release.state is State.SUBMITTED and Role.APPROVER in person.roles and person.id not in wrote:
        found |= {"approve", "return", "reject"}
    return found


def _seen(unit: Unit, release: Release, language: str) -> Seen:
    known: dict[str, str] = {}
    names = areas.names(unit, release.draft.areas)
    headlines = releases.headlines(unit, release.id, release.digest) if release.digest else {}
    return Seen(
        release=release,
        headline=headlines.get(language) or next(iter(headlines.values()), ""),
        author=name_of(unit, release.author, language, known),
        submitter=name_of(unit, release.submitted_by or release.author, language, known),
        places=[names.get(a, (a, a))[0 if language == "zh-CN" else 1] for a in release.draft.areas],
        event=event_name(release.draft.event_code, language),
        moments=timeline(unit, [("release", release.id)], language),
        summary=progress.summary(unit, release.id) if release.state in OUT else {},
    )
