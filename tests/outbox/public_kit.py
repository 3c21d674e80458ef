"""Releases with the artefacts of both public channels, brought into any state by the store's own functions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from channels.cap_feed import CapFeed
from channels.web_notice import WebNotice
from domain.artefact import Artefact, Purpose, digest
from domain.handling import Handling, Mode
from domain.ids import mint
from domain.person import Person
from domain.release import MOVES, Audience, Colour, Draft, Kind, Release, State
from outbox import ledger
from outbox.outgoing import Outgoing
from store import releases
from store.database import Store
from store.people import add as add_person
from tests.outbox.outbox_kit import Standing, outgoing, run_all

CHANNELS = ("web_notice", "cap_feed")
PATHS = {
    State.PUBLISHED: (), State.UNLIFTED: ("overdue",), State.EXPIRED: ("expire",), State.CANCELLED: ("cancel",),
    State.CORRECTED: ("correct",), State.SUPERSEDED: ("supersede",),
}  # fmt: skip


def site(store: Store, at: datetime, tmp_path, **more) -> Outgoing:
    """An Outgoing with the real publishers."""
    publishers = {"web_notice": WebNotice(mode=Mode.DEMO), "cap_feed": CapFeed(mode=Mode.DEMO)}
    return replace(
        outgoing(store, at, tmp_path, **more), publishers=publishers, public_url="https://x.example"
    )


def issue(
    store: Store, at: datetime, *, supersedes: str = "", areas: Sequence[str] = ("990101000000",),
    handling: Handling = Handling.PUBLIC, colour: Colour | None = Colour.ORANGE, name: str = "暴雨",
) -> str:  # fmt: skip
    """An approved release of both public channels with its endings frozen; its id."""
    draft = Draft(
        kind=Kind.WARNING, issuer="甲市气象台", organisation="示例省应急管理厅", handling=handling,
        template="heavy_rain", template_version=1, event_code="11B03", areas=tuple(areas), fields={},
        channels=CHANNELS, languages=("zh-CN", "en"), audience=Audience(), expires=at + timedelta(hours=6),
        colour=colour, supersedes=supersedes,
    )  # fmt: skip
    artefacts = [
        Artefact(id=mint("art", at), channel=channel, language=language, purpose=purpose, media_type="t",
                 body=f"<p>{name} {purpose} {language}</p>".encode())
        for purpose in Purpose for channel, language in (("web_notice", "zh-CN"), ("web_notice", "en"), ("cap_feed", "mul"))
    ]  # fmt: skip

    def work(unit):
        author = Person(id="per_author", name="a", organisation="o")
        add_person(unit, author, login="author", password_hash="", at=at)
        release = Release(
            id=mint("rel", at), draft=draft, state=State.APPROVED, revision=1, author="per_author", created_at=at,
            sent=at, identifier=mint("cap", at), digest=digest(artefacts, {}), approved_at=at,
        )  # fmt: skip
        releases.insert(unit, release)
        titles = {"zh-CN": f"{name}预警", "en": f"{name} warning"}
        releases.put_artefacts(
            unit, release.id, release.digest, [(a, titles.get(a.language, "")) for a in artefacts]
        )
        ledger.put(unit, release=release, artefacts=artefacts, at=at)
        return release.id

    return str(store.run(work))


def end(store: Store, release_id: str, state: State, at: datetime) -> None:
    """Move a published release on to `state`."""

    def work(unit):
        for action in PATHS[state]:
            before = releases.get(unit, release_id)
            assert before is not None
            releases.save(unit, before, replace(before, state=MOVES.after(before.state, action)), at)

    store.run(work)


def run(out: Outgoing, at: datetime) -> None:
    """Let the lanes do at `at` what is due."""
    assert isinstance(out.clock, Standing)
    out.clock.at = max(out.clock.at, at)
    run_all(out)


def told(store: Store, out: Outgoing, at: datetime, state: State = State.PUBLISHED, **more) -> str:
    """A release that has been published and stands in `state` an hour later; its id."""
    release_id = issue(store, at, **more)
    run(out, at)
    end(store, release_id, state, at + timedelta(hours=1))
    return release_id
