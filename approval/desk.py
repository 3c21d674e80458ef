"""The acts over a release, from the draft to the approval; each one transaction of the caller's.

Every function reads the person anew in the transaction it is given: a role switched off a moment ago is off.
All raise NotFound for an unknown release, NotAllowed for a missing role, IllegalMove for an act that the
state does not allow, and Conflict when what the caller saw is no longer there.
"""

import hmac
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from approval.freeze import Frozen, main_of, manifest_of
from approval.gather import ADDRESSED, chain_of
from approval.policy import POLICIES, Policy, may_approve, policy_for
from domain.artefact import Artefact, canonical_json, digest
from domain.bulletin import Standing
from domain.errors import BadInput, Conflict, Flaw, IllegalMove, NotFound, Tampered
from domain.ids import mint
from domain.person import Person, Role
from domain.release import MOVES, Draft, Release, State
from domain.secrecy import must_be_free
from outbox import ledger, recall
from store import audience, bulletins, hub, journal, people, releases, reports
from store.unit import Unit

SYSTEM = "system"  # who acts when time does
DRAFTERS = (Role.OFFICER, Role.APPROVER)
LONGEST_REASON = 500  # characters; the column's width


def unsaved(draft: Draft, *, by: Person, at: datetime) -> Release:
    """A release that is not in the store: for a preview, and for create()."""
    return Release(id=mint("rel", at), draft=draft, state=State.DRAFT, revision=1, author=by.id,
                   editors=frozenset({by.id}), created_at=at)  # fmt: skip


def create(unit: Unit, draft: Draft, *, by: Person, at: datetime) -> Release:
    """A new draft of `by`. Raises BadInput for an unknown report."""
    _acting(unit, by, DRAFTERS)
    _check_origin(unit, draft)
    release = unsaved(draft, by=by, at=at)
    releases.insert(unit, release)
    journal.append(unit, "release", release.id, "create", by=by.id, at=at, is_first=True,
                   detail={"revision": 1, "template": draft.template}, content=_content(draft))  # fmt: skip
    if draft.from_bulletin:
        journal.append(unit, "bulletin", draft.from_bulletin, "draft_release", by=by.id, at=at,
                       detail={"release": release.id})  # fmt: skip
    return release


def edit(
    unit: Unit, release_id: str, draft: Draft, *, by: Person, at: datetime, revision: int | None = None
) -> Release:
    """Another version: back to draft, all votes void, `by` among the editors for good."""
    _acting(unit, by, DRAFTERS)
    before = _locked(unit, release_id, revision)
    state = MOVES.after(before.state, "edit")
    _check_origin(unit, draft)
    after = replace(
        _unsubmitted(before),
        draft=draft,
        state=state,
        revision=before.revision + 1,
        editors=before.editors | {by.id},
    )
    releases.void_votes(unit, release_id)
    releases.save(unit, before, after, at)
    _note(unit, before, after, "edit", by=by.id, at=at, content=_content(draft))
    return after


def submit(
    unit: Unit, release_id: str, frozen: Frozen, *, by: Person, at: datetime,
    policies: Sequence[Policy] = POLICIES,
) -> Release:  # fmt: skip
    """Put `frozen` before the approvers. Raises Conflict when draft, audience or policy moved on meanwhile."""
    _acting(unit, by, DRAFTERS)
    before = _locked(unit, release_id)
    _must_be_free(unit, before.draft)
    state = MOVES.after(before.state, "submit")
    if (frozen.release_id, frozen.revision) != (before.id, before.revision):
        raise Conflict("the draft has changed since it was frozen", code="release_changed")
    if set(ADDRESSED) & set(before.draft.channels) and audience.version(unit) != frozen.list_version:
        raise Conflict("the list of recipients has changed since it was counted", code="list_changed")
    after = replace(
        before,
        state=state,
        submitted_by=by.id,
        submitted_at=at,
        sent=frozen.sent,
        identifier=frozen.identifier,
        digest=frozen.digest,
        list_version=frozen.list_version,
        reach=frozen.reach,
    )
    if frozen.digest != _digest(unit, after, frozen.artefacts, policies, frozen.printed):
        raise Conflict("mode or policy have changed since it was frozen", code="policy_changed")
    releases.put_artefacts(unit, release_id, frozen.digest, frozen.with_headlines())
    releases.put_manifest(unit, release_id, frozen.digest, frozen.manifest)
    releases.save(unit, before, after, at)
    _note(unit, before, after, "submit", by=by.id, at=at)
    return after


def approve(
    unit: Unit, release_id: str, *, digest: str, by: Person, at: datetime, step_up: datetime | None = None,
    revision: int | None = None, policies: Sequence[Policy] = POLICIES,
) -> Release:  # fmt: skip
    """Vote for exactly the bytes of `digest`; with the quorum they are promised in the same transaction.

    Still submitted when more votes are needed. Raises Conflict (``digest_changed``) unless `digest` is the
    full lower-case hex in force, Tampered when the stored bytes no longer give it.
    """
    person = _acting(unit, by, (Role.APPROVER,))
    before = _locked(unit, release_id)
    _must_be_free(unit, before.draft)
    MOVES.after(before.state, "approve")
    policy = policy_for(before.draft, hub.mode(unit), policies)
    votes = releases.votes(unit, release_id, before.digest)
    may_approve(before, person, votes, policy, at=at, step_up=step_up)
    if not hmac.compare_digest(digest.encode("utf-8", "replace"), before.digest.encode()):
        raise Conflict(
            f"the digest is not that of revision {before.revision} as submitted", code="digest_changed"
        )
    _check_revision(before, revision)
    _check_in_time(before, policy, at)
    artefacts = releases.artefacts(unit, release_id, before.digest)
    printed = releases.headlines(unit, release_id, before.digest)
    is_intact = releases.is_intact(unit, release_id, before.digest)
    if not is_intact or _digest(unit, before, artefacts, policies, printed) != before.digest:
        raise Tampered("bytes, row or policy are not those that were submitted")
    _vote(unit, before, "approve", by=by, at=at, step_up=step_up)
    if len(votes | {by.id}) < policy.quorum:
        after = replace(before, state=MOVES.after(before.state, "vote"))
        _note(unit, before, after, "vote", by=by.id, at=at, detail={"votes": len(votes) + 1})
        return after
    after = replace(before, state=MOVES.after(before.state, "approve"), approved_at=at)
    if before.draft.supersedes:
        _supersede(unit, after, by=by, at=at)
    releases.save(unit, before, after, at)
    promised = ledger.put(unit, release=after, artefacts=main_of(artefacts), at=at)
    _note(unit, before, after, "approve", by=by.id, at=at, detail={"dispatches": promised})
    return after


def send_back(unit: Unit, release_id: str, *, reason: str, by: Person, at: datetime) -> Release:
    """Return it to its author with a reason; votes are void."""
    return _refuse(unit, release_id, "return", reason, by=by, at=at)


def reject(unit: Unit, release_id: str, *, reason: str, by: Person, at: datetime) -> Release:
    """End it before it left."""
    return _refuse(unit, release_id, "reject", reason, by=by, at=at)


def stop(unit: Unit, release_id: str, *, reason: str, by: Person, at: datetime) -> Release:
    """停止发送: what has not left stays here. One person with a reason is enough: recall beats everything."""
    _acting(unit, by, DRAFTERS)
    reason = _reason(reason)
    before = _locked(unit, release_id)
    after = replace(before, state=MOVES.after(before.state, "stop"), ended_reason=reason)
    releases.save(unit, before, after, at)
    _vote(unit, before, "stop", by=by, at=at, reason=reason)
    _note(unit, before, after, "stop", by=by.id, at=at, content=reason.encode())
    recall.stop(unit, release_id, by=by.id, at=at, reason=reason)
    return after


def lift(unit: Unit, release_id: str, *, reason: str, by: Person, at: datetime) -> Release:
    """解除: the danger is over. The lift that was approved with the warning goes to all whom it reached."""
    return _end(unit, release_id, "cancel", reason, by=by, at=at)


def correct(unit: Unit, release_id: str, *, reason: str, by: Person, at: datetime) -> Release:
    """误发更正: a false alarm. The approved correction goes to exactly those whom the warning reached, or may have.

    One person is enough: its bytes were approved by another than their author, and every minute counts.
    """
    return _end(unit, release_id, "correct", reason, by=by, at=at)


def draft_update(unit: Unit, release_id: str, *, by: Person, at: datetime) -> Release:
    """A draft that replaces a release in force, its words as they were; the release stays as it is meanwhile."""
    _acting(unit, by, DRAFTERS)
    old = _locked(unit, release_id)
    MOVES.after(old.state, "supersede")
    release = unsaved(replace(old.draft, supersedes=old.id, organisation=by.organisation), by=by, at=at)
    releases.insert(unit, release)
    journal.append(unit, "release", release.id, "create", by=by.id, at=at, is_first=True,
                   detail={"revision": 1, "template": old.draft.template, "supersedes": old.id},
                   content=_content(release.draft))  # fmt: skip
    return release


def lapse(unit: Unit, release_id: str, *, at: datetime, policies: Sequence[Policy] = POLICIES) -> Release:
    """Back to draft when nobody decided in time. Raises IllegalMove (``not_yet``) before that."""
    before = _locked(unit, release_id)
    state = MOVES.after(before.state, "lapse")
    policy = policy_for(before.draft, hub.mode(unit), policies)
    if not _is_over(before, policy, at):
        raise IllegalMove("the submission has not lapsed yet", code="not_yet")
    after = replace(_unsubmitted(before), state=state)
    releases.void_votes(unit, release_id)
    releases.save(unit, before, after, at)
    _note(unit, before, after, "lapse", by=SYSTEM, at=at)
    return after


def lapse_overdue(unit: Unit, *, at: datetime, policies: Sequence[Policy] = POLICIES) -> list[str]:
    """lapse() of every submission whose time is over; their ids. Safe to repeat."""
    lapsed = []
    for release_id in releases.ids_in(unit, [State.SUBMITTED]):
        release = releases.get(unit, release_id, lock=True)
        if release is None or release.state is not State.SUBMITTED:
            continue
        if _is_over(release, policy_for(release.draft, hub.mode(unit), policies), at):
            lapse(unit, release_id, at=at, policies=policies)
            lapsed.append(release_id)
    return lapsed


def _refuse(unit: Unit, release_id: str, act: str, reason: str, *, by: Person, at: datetime) -> Release:
    _acting(unit, by, (Role.APPROVER,))
    reason = _reason(reason)
    before = _locked(unit, release_id)
    after = replace(before, state=MOVES.after(before.state, act), ended_reason=reason)
    releases.void_votes(unit, release_id)
    releases.save(unit, before, after, at)
    _vote(unit, before, act, by=by, at=at, reason=reason)
    _note(unit, before, after, act, by=by.id, at=at, content=reason.encode())
    return after


def _end(unit: Unit, release_id: str, act: str, reason: str, *, by: Person, at: datetime) -> Release:
    """End a release that has left, or is leaving: what is still queued stays, its ending is promised.

    Raises Tampered when the stored bytes are not those that were approved.
    """
    _acting(unit, by, DRAFTERS)
    reason = _reason(reason)
    before = _locked(unit, release_id)
    after = replace(before, state=MOVES.after(before.state, act), ended_reason=reason)
    if not releases.is_intact(unit, release_id, before.digest):
        raise Tampered("the stored ending is not what was approved")
    releases.save(unit, before, after, at)
    _vote(unit, before, act, by=by, at=at, reason=reason)
    recall.stop(unit, release_id, by=by.id, at=at, reason=reason)
    artefacts = releases.artefacts(unit, release_id, before.digest)
    promised = ledger.put_ending(unit, release=after, artefacts=artefacts, at=at)
    promised += _end_replaced(unit, after, at=at)
    _note(unit, before, after, act, by=by.id, at=at, content=reason.encode(), detail={"dispatches": promised})
    return after


def _end_replaced(unit: Unit, ended: Release, *, at: datetime) -> list[str]:
    """Whoever got an earlier message of the chain and not the last one would go on believing it.

    He gets the ending that was approved with what he has. Bytes that are not as approved stay here, and do not
    hold up the others.
    """
    promised: list[str] = []
    for old in chain_of(unit, ended.draft.supersedes):
        if old.state is State.SUPERSEDED and releases.is_intact(unit, old.id, old.digest):
            artefacts = releases.artefacts(unit, old.id, old.digest)
            promised += ledger.put_ending_of_replaced(unit, old=old, ended=ended, artefacts=artefacts, at=at)
    return promised


def _supersede(unit: Unit, successor: Release, *, by: Person, at: datetime) -> None:
    """The update is approved: what it replaces is over, and nothing more of it leaves.

    The successor's row is locked already; two updates of one release wait for each other here, and the later
    one is refused. Raises Conflict.
    """
    old = _locked(unit, successor.draft.supersedes)
    if not MOVES.allows(old.state, "supersede"):
        raise Conflict("what it replaces is no longer in force", code="superseded_gone")
    after = replace(old, state=MOVES.after(old.state, "supersede"))
    releases.save(unit, old, after, at)
    recall.stop(unit, old.id, by=by.id, at=at, reason=f"superseded by {successor.id}")
    _note(unit, old, after, "supersede", by=by.id, at=at, detail={"by": successor.id})


def _acting(unit: Unit, by: Person, roles: Sequence[Role]) -> Person:
    """The person as the store knows him now; what the session says may be old."""
    person = people.get(unit, by.id)
    person.must_be(*roles)
    return person


def _locked(unit: Unit, release_id: str, revision: int | None = None) -> Release:
    release = releases.get(unit, release_id, lock=True)
    if release is None:
        raise NotFound("no such release")
    _check_revision(release, revision)
    return release


def _check_revision(release: Release, revision: int | None) -> None:
    """`revision` is what the caller read (If-Match); None where he did not say."""
    if revision is not None and revision != release.revision:
        raise Conflict(f"the release is at revision {release.revision} now", code="revision_changed")


def _unsubmitted(release: Release) -> Release:
    return replace(
        release, submitted_by="", submitted_at=None, sent=None, identifier="", digest="", list_version=0,
        reach=0, ended_reason="",
    )  # fmt: skip


def _must_be_free(unit: Unit, draft: Draft) -> None:
    """The report that it was drafted from may have been marked since."""
    report = reports.get(unit, draft.from_report) if draft.from_report else None
    must_be_free(report.compartments if report else 0)


def _check_origin(unit: Unit, draft: Draft) -> None:
    if draft.from_report:
        report = reports.get(unit, draft.from_report)
        if report is None:
            raise BadInput("no such report", flaws=[Flaw("/from_report", "is no report of this hub")])
        must_be_free(report.compartments)
    if draft.from_bulletin:
        one = bulletins.get(unit, draft.from_bulletin)
        if (
            one is None or one.state is not Standing.CURRENT
        ):  # an exercise of others never becomes a warning of ours
            raise BadInput(
                "no such bulletin", flaws=[Flaw("/from_bulletin", "is no bulletin that counts here")]
            )


def _check_in_time(release: Release, policy: Policy, at: datetime) -> None:
    if _is_over(release, policy, at):
        raise Conflict("the submission has lapsed; submit it again", code="lapsed")
    if release.draft.expires <= at:
        raise Conflict("it has expired while it waited; change it and submit it again", code="expired")


def _is_over(release: Release, policy: Policy, at: datetime) -> bool:
    return release.submitted_at is None or at - release.submitted_at >= policy.lapse


def _digest(
    unit: Unit, release: Release, artefacts: Sequence[Artefact], policies: Sequence[Policy],
    headlines: Mapping[str, str],
) -> str:  # fmt: skip
    """The digest by what is true in this transaction: row, mode, policy, bytes, headlines."""
    mode = hub.mode(unit)
    policy = policy_for(release.draft, mode, policies)
    return digest(artefacts, manifest_of(release, mode, policy, headlines))


def _vote(
    unit: Unit, release: Release, act: str, *, by: Person, at: datetime, step_up: datetime | None = None,
    reason: str = "",
) -> None:  # fmt: skip
    row = {"id": mint("apr", at), "release": release.id, "digest": release.digest, "person": by.id,
           "act": act, "at": at, "step_up": step_up, "reason": reason}  # fmt: skip
    releases.vote(unit, row)


def _note(
    unit: Unit, before: Release, after: Release, act: str, *, by: str, at: datetime,
    detail: dict[str, Any] | None = None, content: bytes = b"",
) -> None:  # fmt: skip
    told = {"from": before.state.value, "to": after.state.value, "revision": after.revision,
            "digest": after.digest or before.digest, **(detail or {})}  # fmt: skip
    journal.append(unit, "release", after.id, act, by=by, at=at, detail=told, content=content)


def _reason(reason: str) -> str:
    reason = unicodedata.normalize("NFC", reason).strip()
    if not reason or len(reason) > LONGEST_REASON:
        detail = f"is required, at most {LONGEST_REASON} characters"
        raise BadInput("a reason is needed", flaws=[Flaw("/reason", detail)])
    return reason


def _content(draft: Draft) -> bytes:
    """What the journal's keyed digest is taken of."""
    return canonical_json(
        {"supersedes": draft.supersedes, "template": [draft.template, draft.template_version], "issuer": draft.issuer,
         "areas": list(draft.areas), "expires": draft.expires.isoformat(),
         "fields": [[str(k), str(v)] for k, v in sorted(draft.fields.items())]}
    )  # fmt: skip
