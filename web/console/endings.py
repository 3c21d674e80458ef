"""What comes after a release: stop, lift, correct, each with a page and a confirm word of its own; and the update."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.responses import Response

from approval import desk
from domain.artefact import Purpose
from domain.errors import BadInput, Flaw, HubError, IllegalMove, NotAllowed, NotFound, Refused
from domain.person import Person, Role
from domain.release import MOVES, Release, State
from store import chains, promises, releases
from store.unit import Unit
from templates import pages
from web.console import bytes_shown, monitor
from web.console.drafts import load
from web.console.release_acts import tried
from web.console.visit import Visit
from web.page import go


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One of the three. `purpose`: whose frozen bytes leave; None when nobody is told anything."""

    act: Callable[..., Release]
    move: str
    purpose: Purpose | None


ENDINGS: Mapping[str, Ending] = {
    "stop": Ending(act=desk.stop, move="stop", purpose=None),
    "lift": Ending(act=desk.lift, move="cancel", purpose=Purpose.LIFT),
    "correct": Ending(act=desk.correct, move="correct", purpose=Purpose.CORRECTION),
}
_OPEN = {State.DRAFT.value, State.RETURNED.value, State.SUBMITTED.value}


def ask(visit: Visit) -> Response:
    """The page of one ending; it never renews itself, so nothing typed on it is lost."""
    return _page(visit, _name(visit))


def end(visit: Visit) -> Response:
    """End the release if reason and confirm word are there; otherwise say so, and nothing happens.

    The same form sent twice is one act: the second one is shown what the first one did.
    """
    name, release_id, at = _name(visit), visit.part("id"), visit.at
    ending, reason = ENDINGS[name], visit.form.first("reason")

    def work(unit: Unit, by: Person) -> list[str]:
        ending.act(unit, release_id, reason=reason, by=by, at=at)
        return [d.id for d in promises.of_release(unit, release_id) if d.purpose != Purpose.MAIN]

    try:
        _must_be_confirmed(visit, name)
        promised = tried(visit, name, release_id, work)
    except IllegalMove as error:
        return (
            go(_done(release_id, name)) if _is_ended_so(visit, ending, reason) else _page(visit, name, error)
        )
    except (Refused, BadInput) as error:
        return _page(visit, name, error)
    for dispatch_id in promised:
        visit.hub.bell("relay", dispatch_id)
    return go(_done(release_id, name))


def ask_update(visit: Visit) -> Response:
    """The page of the update: what it does, and drafts of it that are open already."""
    release = load(visit)
    if "update" not in may_end(release, visit.person):
        raise NotAllowed("updating is for the duty room, while the release is in force")
    return _update_page(visit, release)


def update(visit: Visit) -> Response:
    """A draft of the update; one that is open already is gone to instead of making a second."""
    release_id, at = visit.part("id"), visit.at

    def work(unit: Unit, by: Person) -> str:
        releases.get(unit, release_id, lock=True)  # two clicks wait for each other here
        found = next((s for s, state in chains.successors(unit, release_id) if state in _OPEN), "")
        return found or desk.draft_update(unit, release_id, by=by, at=at).id

    try:
        draft_id = tried(visit, "update", release_id, work)
    except (Refused, BadInput) as error:
        return _update_page(visit, load(visit), error)
    return go(f"/console/releases/{draft_id}/edit")


def may_end(release: Release, person: Person) -> set[str]:
    """The endings this person is shown; the approval room decides again when one is sent."""
    if not person.roles & {Role.OFFICER, Role.APPROVER}:
        return set()
    found = {name for name, ending in ENDINGS.items() if MOVES.allows(release.state, ending.move)}
    return found | ({"update"} if MOVES.allows(release.state, "supersede") else set())


def _name(visit: Visit) -> str:
    name = visit.request.url.path.rpartition("/")[2]
    if name not in ENDINGS:
        raise NotFound("no such act")
    return name


def _page(visit: Visit, name: str, problem: HubError | None = None) -> Response:
    release, ending = load(visit), ENDINGS[name]
    if name not in may_end(release, visit.person) and problem is None:
        if release.state not in monitor.OUT or not visit.person.roles & {Role.OFFICER, Role.APPROVER}:
            raise NotAllowed("this is for the duty room, while the release is in force")
        problem = IllegalMove("the release has ended already")
    numbers = (
        visit.read(lambda unit: monitor.monitor(unit, release, visit.at, visit.hub.outgoing.spares))
        if release.state in monitor.OUT
        else None
    )
    kept = visit.read(lambda unit: releases.artefacts(unit, release.id, release.digest))
    leaving = [a for a in kept if a.purpose is ending.purpose]
    headlines = visit.read(lambda unit: releases.headlines(unit, release.id, release.digest))
    return visit.show(
        "ending.html", problem=problem, act=name, release=release, numbers=numbers,
        headline=headlines.get(visit.language) or next(iter(headlines.values()), ""),
        pieces_shown=bytes_shown.shown(leaving), typed=visit.form.first("word"), reason=visit.form.first("reason"),
        word=pages.confirm_word(name, visit.hub.mode.value, visit.language), here="/console/releases",
        is_possible=name in may_end(release, visit.person),
        flaw_names={"/word": visit.say("确认词"), "/reason": pages.word("field", "reason", visit.language)},
    )  # fmt: skip


def _update_page(visit: Visit, release: Release, problem: HubError | None = None) -> Response:
    open_ones = visit.read(
        lambda unit: [s for s, state in chains.successors(unit, release.id) if state in _OPEN]
    )
    headlines = visit.read(lambda unit: releases.headlines(unit, release.id, release.digest))
    numbers = (
        visit.read(lambda unit: monitor.monitor(unit, release, visit.at, visit.hub.outgoing.spares))
        if release.state in monitor.OUT
        else None
    )
    return visit.show(
        "update.html", problem=problem, release=release, open_ones=open_ones, numbers=numbers,
        headline=headlines.get(visit.language) or next(iter(headlines.values()), ""), here="/console/releases",
    )  # fmt: skip


def _must_be_confirmed(visit: Visit, name: str) -> None:
    """Raises BadInput unless the word was typed, in either language; width and case do not matter."""
    mode = visit.hub.mode.value
    typed = _squeeze(visit.form.first("word"))
    if typed not in {_squeeze(pages.confirm_word(name, mode, language)) for language in pages.LANGUAGES}:
        raise BadInput("the confirm word is another one", code="wrong_word",
                       flaws=[Flaw("/word", "is the word shown beside it")])  # fmt: skip


def _is_ended_so(visit: Visit, ending: Ending, reason: str) -> bool:
    """Whether this very act with this very reason is what ended it: the form came twice."""
    release = load(visit)
    wanted = unicodedata.normalize("NFC", reason).strip()
    before = [s for s in State if MOVES.allows(s, ending.move)]
    return release.state in {MOVES.after(s, ending.move) for s in before} and release.ended_reason == wanted


def _done(release_id: str, name: str) -> str:
    return f"/console/releases/{release_id}?done={name}"


def _squeeze(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
