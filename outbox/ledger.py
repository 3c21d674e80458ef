"""The only door into the outbox: promises written in the caller's transaction, or not at all."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from domain.artefact import Artefact, Purpose
from domain.errors import BadInput, IllegalMove
from domain.ids import mint
from domain.notice import CHANNELS, Notice, NoticeKind
from domain.parcel import DispatchState
from domain.release import Release, State
from outbox.lanes import lane_of
from store import promises
from store.endings import BEHIND
from store.promises import Dispatch
from store.unit import Unit

ENDING_LASTS = timedelta(
    hours=24
)  # who got a warning is told of its end for a day, however short its own life
_ENDED = {State.CANCELLED: Purpose.LIFT, State.CORRECTED: Purpose.CORRECTION}


def put(unit: Unit, *, release: Release, artefacts: Sequence[Artefact], at: datetime) -> list[str]:
    """Promise to let out each MAIN artefact of an approved release; the dispatch ids. The caller commits.

    Endings among `artefacts` are passed over: they wait for their own act. The same artefact again is the
    same promise. Raises IllegalMove unless the release is approved (law 3).
    """
    if release.state is not State.APPROVED:
        raise IllegalMove("only an approved release has promises to keep")
    return [
        promises.add(unit, _promise(release, artefact, at), at)
        for artefact in artefacts
        if artefact.purpose is Purpose.MAIN
    ]


def put_ending(unit: Unit, *, release: Release, artefacts: Sequence[Artefact], at: datetime) -> list[str]:
    """Promise the frozen ending of a release in every channel and language that has begun; the dispatch ids.

    Its addresses are those that its warning reached, or may have (outbox/relay). Nothing has left where no
    lane had begun, so nothing ends there. The caller commits, with the state. Raises IllegalMove unless the
    release is cancelled or corrected.
    """
    purpose = _ENDED.get(release.state)
    if purpose is None:
        raise IllegalMove("only a lifted or corrected release has an ending to send")
    begun = {
        (d.channel, d.language): d.id
        for d in promises.of_release(unit, release.id)
        if d.purpose == Purpose.MAIN.value and d.tries > 0
    }
    return [
        promises.add(unit, _ending(release, artefact, begun[artefact.channel, artefact.language], at), at)
        for artefact in artefacts
        if artefact.purpose is purpose and (artefact.channel, artefact.language) in begun
    ]


def put_ending_of_replaced(
    unit: Unit, *, old: Release, ended: Release, artefacts: Sequence[Artefact], at: datetime
) -> list[str]:
    """Promise the frozen ending of `old` to those whom it reached and what replaced it did not; dispatch ids.

    `ended` is the last of the chain, lifted or corrected. Pages and feeds tell the chain as one.
    """
    purpose = _ENDED.get(ended.state)
    if purpose is None or old.state is not State.SUPERSEDED:
        raise IllegalMove("only what was replaced ends with what replaced it")
    sent = {
        (d.channel, d.language): d.id
        for d in promises.of_release(unit, old.id)
        if d.purpose == Purpose.MAIN.value and d.expanded > 0
    }
    return [
        promises.add(unit, replace(_ending(old, a, sent[a.channel, a.language], at), cursor=BEHIND), at)
        for a in artefacts
        if a.purpose is purpose and (a.channel, a.language) in sent
    ]


def put_notice(unit: Unit, notice: Notice, at: datetime) -> str:
    """Promise one notice to one address; the parcel to ring for, '' when it was promised before.

    The caller commits, with what the notice speaks of. Raises BadInput for a channel that is not addressed
    or a kind that is not on the closed list.
    """
    if notice.channel not in CHANNELS or notice.kind not in list(NoticeKind) or not notice.address:
        raise BadInput("a notice goes to one address, from the closed list", code="no_notice")
    promise = Dispatch(
        id=mint("dsp", at), release="", artefact="", channel=notice.channel, language=notice.language,
        sha256=hashlib.sha256(notice.payload).hexdigest(), state=DispatchState.OPEN, next_due=at, tries=0,
        expires=notice.expires, cursor="", expanded=1, is_expanded=True,
        purpose="answer" if notice.kind is NoticeKind.ANSWER else "notice",
    )  # fmt: skip
    return promises.add_notice(unit, promise, notice, at)


def _ending(release: Release, artefact: Artefact, ends: str, at: datetime) -> Dispatch:
    promise = _promise(release, artefact, at)
    return replace(promise, expires=at + ENDING_LASTS, purpose=artefact.purpose.value, ends=ends)


def _promise(release: Release, artefact: Artefact, at: datetime) -> Dispatch:
    return Dispatch(
        id=mint("dsp", at), release=release.id, artefact=artefact.id, channel=artefact.channel,
        language=artefact.language, sha256=artefact.sha256, state=DispatchState.READY, next_due=at,
        tries=0, expires=release.draft.expires, cursor="", expanded=0, is_expanded=False,
        lane=lane_of(release, artefact.purpose, artefact.channel),
    )  # fmt: skip
