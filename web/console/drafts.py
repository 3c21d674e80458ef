"""The composer: a form made of a template's fields, and the body that the approval room reads from it."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from approval import desk, forms
from domain.errors import BadInput, Conflict, HubError, NotFound, Refused
from domain.handling import Handling
from domain.ids import is_id
from domain.person import Person, Role
from domain.release import Colour, Draft, Release, State
from domain.report import Report
from duty import bulletins as duty_bulletins
from duty import reports as duty
from store import areas, audience, bulletins, releases, reports
from store.bulletins import Bulletin
from store.unit import Unit
from templates import library, pages
from templates.library import Field, Template
from web.console import bytes_shown, keeping
from web.console.release_acts import submit
from web.console.visit import Visit
from web.page import go, sentence
from web.sessions import Form

EDITABLE = (State.DRAFT, State.RETURNED, State.SUBMITTED)
LASTS = timedelta(hours=6)  # what a fresh draft proposes; the author looks at it anyway
GRADES = (1, 2, 3, 4)
TREE = 500  # divisions in the tree at once; the others are found by their names


def new(visit: Visit) -> Response:
    """Choose a template, or its empty form; ``?from=`` fills in what a report says.

    The address gets a key of its own, under which the form keeps itself: reloading it finds what was kept.
    """
    visit.person.must_be(Role.OFFICER, Role.APPROVER)
    report_id, key = visit.query("from"), visit.query("key")[:64]
    prefill = _prefill(visit, report_id)
    known = library.library()
    fitting = _fitting(known, str(prefill.get("event_code", "")))
    wanted = visit.query("template") or ("" if visit.query("choose") else fitting)
    if not wanted:
        return visit.show("templates.html", known=known.values(), report=report_id, here="/console/releases")
    if wanted not in known:
        raise NotFound("no such template")
    if not key:
        query = {"template": wanted, "from": report_id if prefill else "", "key": secrets.token_hex(16)}
        return go("/console/releases/new?" + urlencode({k: v for k, v in query.items() if v}))
    if kept := visit.read(lambda unit: keeping.kept_under(unit, visit.person.id, key)):
        return go(f"/console/releases/{kept}/edit")
    return _show(visit, known[wanted], _fresh(visit, known[wanted], prefill, key), action="/console/releases")


def create(visit: Visit) -> Response:
    """Keep a new draft and show it as it would leave, or submit it at once."""
    template = library.library().get(visit.form.first("template"))
    if template is None:
        raise NotFound("no such template")
    try:
        release = keeping.keep(
            visit, visit.at, lambda unit, by, before: _draft(unit, visit, template, by, before)
        )
    except (BadInput, Conflict) as error:
        return _show(visit, template, visit.form, action="/console/releases", problem=error)
    return _kept(visit, release.id)


def edit(visit: Visit) -> Response:
    """The form of a draft as it stands."""
    visit.person.must_be(Role.OFFICER, Role.APPROVER)
    release = load(visit)
    if release.state not in EDITABLE:
        raise Conflict("this release can no longer be changed", code="illegal_move")
    template = library.pinned(release.draft.template, release.draft.template_version)
    return _show(
        visit, template, _filled(release, visit.hub.zone), action=visit.request.url.path, release=release
    )


def save(visit: Visit) -> Response:
    """Keep the change, if nobody else changed the draft meanwhile; then submit it where that was asked for."""
    release = load(visit)
    template = library.pinned(release.draft.template, release.draft.template_version)
    try:
        keeping.keep(
            visit, visit.at, lambda unit, by, before: _draft(unit, visit, template, by, before), release.id
        )
    except (BadInput, Conflict) as error:
        return _show(
            visit, template, visit.form, action=visit.request.url.path, release=release, problem=error
        )
    return _kept(visit, release.id)


def keep(visit: Visit) -> Response:
    """The form keeps itself while it is filled in; says when, and under which revision the next change goes."""
    try:
        template, release = _template_of(visit)
        kept = keeping.keep(visit, visit.at, lambda unit, by, before: _draft(unit, visit, template, by, before),
                            release.id if release else "", is_auto=True)  # fmt: skip
    except (BadInput, Conflict) as error:
        # 200: an answer with another status would not be shown in place
        return visit.fragment("autosaved.html", revision=visit.form.first("revision"), kept=None,
                              refusal=sentence(error, visit.language))  # fmt: skip
    return visit.fragment("autosaved.html", revision=kept.revision, kept=kept)


def preview(visit: Visit) -> Response:
    """What the form would become now, channel by channel; nothing is stored."""
    visit.person.must_be(Role.OFFICER, Role.APPROVER)
    template, before = _template_of(visit)
    try:
        draft = visit.read(
            lambda unit: _draft(unit, visit, template, visit.person, before.draft if before else None)
        )
    except BadInput as error:
        return visit.fragment(
            "previews.html", preview=bytes_shown.Preview(pieces=(), reach=0, flaws=error.flaws),
                          flaw_names=_names(visit, template), release=None, echo=_echo(visit, visit.form))  # fmt: skip
    release = replace(before, draft=draft) if before else desk.unsaved(draft, by=visit.person, at=visit.at)
    shown = bytes_shown.tried(visit.store, visit.hub, release, visit.at)
    names = bytes_shown.flaw_names(release, shown.pieces, visit.language)
    return visit.fragment(
        "previews.html", preview=shown, flaw_names=names, release=None, echo=_echo(visit, visit.form)
    )


def find_areas(visit: Visit) -> Response:
    """The divisions that fit what was typed, and those that are ticked already."""
    ticked, text = visit.form.all("areas"), visit.form.first("area_filter")[:40]

    def work(unit: Unit) -> list[Any]:
        found = areas.search(unit, text, TREE) if text else areas.listing(unit, limit=TREE)
        shown = {row.code for row in found}
        return [*areas.rows(unit, [code for code in ticked if code not in shown][:TREE]), *found]

    return visit.fragment("areas.html", divisions=visit.read(work), typed=visit.form)


def _kept(visit: Visit, release_id: str) -> Response:
    """Where a kept draft leads: to its page, or before the approvers when the button said so."""
    if visit.form.first("then") != "submit":
        return go(f"/console/releases/{release_id}?done=saved")
    kept = visit.read(lambda unit: releases.get(unit, release_id))
    if kept and kept.state is State.SUBMITTED:  # the button was pressed twice
        return go(f"/console/releases/{release_id}?done=submit")
    try:
        submit(visit, release_id)
    except (Refused, BadInput) as error:
        release = visit.read(lambda unit: releases.get(unit, release_id))
        if release is None:
            raise
        template = library.pinned(release.draft.template, release.draft.template_version)
        form = _filled(release, visit.hub.zone)
        return _show(visit, template, form, action=f"/console/releases/{release_id}/edit", release=release,
                     problem=error)  # fmt: skip
    return go(f"/console/releases/{release_id}?done=submit")


def _template_of(visit: Visit) -> tuple[Template, Release | None]:
    """The template of the form, and the release that it is of. Raises NotFound."""
    release_id, key = visit.form.first("draft"), visit.form.first("key")[:64]
    kept = release_id or visit.read(lambda unit: keeping.kept_under(unit, visit.person.id, key))
    release = visit.read(lambda unit: releases.get(unit, kept)) if kept else None
    if release is not None:
        return library.pinned(release.draft.template, release.draft.template_version), release
    template = library.library().get(visit.form.first("template"))
    if template is None:
        raise NotFound("no such template")
    return template, None


def _prefill(visit: Visit, origin: str) -> Mapping[str, Any]:
    """What the report or the bulletin of a peer says, that a draft begins with; nothing without one."""
    if is_id("bul", origin):
        return visit.read(lambda unit: duty_bulletins.draft_fields(unit, origin, visit.hub.zone, visit.at))
    report = visit.read(lambda unit: reports.get(unit, origin)) if origin else None
    return duty.draft_fields(report) if report else {}


def _fitting(known: Mapping[str, Template], event_code: str) -> str:
    """The one template for this kind of event; '' when there are several or none."""
    fits = [t.id for t in known.values() if event_code and t.event_code == event_code]
    return fits[0] if len(fits) == 1 else ""


def load(visit: Visit) -> Release:
    """The release of this address. Raises NotFound."""
    release = visit.read(lambda unit: releases.get(unit, visit.part("id")))
    if release is None:
        raise NotFound("no such release")
    return release


def body_of(form: Form, template: Template, zone: tzinfo) -> dict[str, Any]:
    """The form as the body of POST /v1/releases. What is no number or time stays text, and is named as wrong."""
    fields = {f.name: _typed(f, form.first(f"fields.{f.name}"), zone) for f in template.fields}
    return {
        "template": template.id,
        "issuer": form.first("issuer"),
        "colour": form.first("colour") or None,
        "grade": form.number("grade"),
        "response_level": None,
        "handling": form.first("handling") or Handling.PUBLIC.value,
        "areas": form.all("areas"),
        "languages": form.all("languages"),
        "channels": form.all("channels"),
        "audience": {"areas": [], "groups": form.all("groups"), "languages": []},
        "effective": None,
        "onset": _instant(form.first("onset"), zone) or None,
        "expires": _instant(form.first("expires"), zone) or None,
        "review_by": None,
        "repeat_unsure": bool(form.first("repeat_unsure")),
        "fields": {name: value for name, value in fields.items() if value != ""},
        "from_report": form.first("from_report") or None,
        "from_bulletin": form.first("from_bulletin") or None,
    }


def _fresh(visit: Visit, template: Template, prefill: Mapping[str, Any], key: str) -> Form:
    values: dict[str, list[str]] = {
        "template": [template.id],
        "issuer": [visit.person.organisation],
        "areas": list(prefill.get("areas", [])),
        "grade": [str(prefill.get("grade") or "")],
        "languages": list(library.LANGUAGES),
        "channels": [c for c in template.channels if c in visit.hub.lanes],
        "handling": [Handling.PUBLIC.value],
        "colour": [str(prefill.get("colour") or "")],
        "onset": [str(prefill.get("onset") or "")],
        "expires": [str(prefill.get("expires") or _local(visit.at + LASTS, visit.hub.zone))],
        "from_report": [str(prefill.get("from_report", ""))],
        "from_bulletin": [str(prefill.get("from_bulletin", ""))],
        "key": [key],
    }
    for field in template.fields:
        if field.type == "enum":  # never a number: an example that nobody measured must not slip through
            values[f"fields.{field.name}"] = [str(field.example)]
    if prefill.get("place") and any(f.name == "places_zh" for f in template.fields):
        values["fields.places_zh"] = [str(prefill["place"])]
    return _form(values)


def _filled(release: Release, zone: tzinfo) -> Form:
    draft = release.draft
    values: dict[str, list[str]] = {
        "template": [draft.template],
        "issuer": [draft.issuer],
        "colour": [draft.colour.value if draft.colour else ""],
        "grade": [str(draft.grade or "")],
        "areas": list(draft.areas),
        "languages": list(draft.languages),
        "channels": list(draft.channels),
        "groups": list(draft.audience.groups),
        "handling": [draft.handling.value],
        "expires": [_local(draft.expires, zone)],
        "onset": [_local(draft.onset, zone) if draft.onset else ""],
        "from_report": [draft.from_report],
        "from_bulletin": [draft.from_bulletin],
        "repeat_unsure": ["yes" if draft.repeat_unsure else ""],
        "draft": [release.id],
    }
    return _form(values | {f"fields.{name}": [_shown(value, zone)] for name, value in draft.fields.items()})


def _draft(unit: Unit, visit: Visit, template: Template, by: Person, before: Draft | None = None) -> Draft:
    body = body_of(visit.form, template, visit.hub.zone)
    if before is not None:  # what only /v1 can set is not in the form, and must not go with an edit of it
        known = forms.body_from_draft(before)
        body |= {name: known[name] for name in ("effective", "review_by", "response_level")}
        body["audience"] |= {name: known["audience"][name] for name in ("areas", "languages")}
    return forms.draft_from_body(unit, body, by=by, at=visit.at, before=before)


def _show(
    visit: Visit, template: Template, form: Form, *, action: str, release: Release | None = None,
    problem: HubError | None = None,
) -> Response:  # fmt: skip
    report_id, bulletin_id = form.first("from_report"), form.first("from_bulletin")
    ticked = form.all("areas")

    def work(unit: Unit) -> tuple[list[Any], Report | None, Bulletin | None, list[str]]:
        found = areas.listing(unit, limit=TREE)
        shown = {row.code for row in found}
        missing = areas.rows(unit, [code for code in ticked if code not in shown][:TREE])
        report = reports.get(unit, report_id) if report_id else None
        bulletin = bulletins.get(unit, bulletin_id) if bulletin_id else None
        return [*missing, *found], report, bulletin, audience.groups(unit)

    divisions, report, bulletin, on_list = visit.read(work)
    groups = list(dict.fromkeys((*pages.codes()["group"], *on_list, *form.all("groups"))))
    return visit.show(
        "draft.html", problem=problem, template=template, typed=form,
        lanes=[c for c in template.channels if c in visit.hub.lanes], action=action, release=release,
        divisions=divisions, groups=groups, keeps=release is None or release.state is not State.SUBMITTED, report=report,
        bulletin=bulletin, colours=[c.value for c in Colour], grades=GRADES,
        handlings=[h.value for h in Handling], languages=library.LANGUAGES, here="/console/releases",
        echo=_echo(visit, form), flaw_names=_names(visit, template),
    )  # fmt: skip


def _names(visit: Visit, template: Template) -> dict[str, str]:
    found = {f"/{name}": pages.word("field", name, visit.language) for name in pages.codes()["field"]}
    return found | {f"/fields/{f.name}": f.labels[visit.language] for f in template.fields}


def _echo(visit: Visit, form: Form) -> datetime | None:
    """The expiry as a moment, to be said in words beside the field (SCREENS T12)."""
    try:
        return datetime.fromisoformat(_instant(form.first("expires"), visit.hub.zone)).astimezone(UTC)
    except ValueError:
        return None


def _typed(field: Field, text: str, zone: tzinfo) -> str | int:
    if field.type == "number" and text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    return _instant(text, zone) if field.type == "datetime" else text


def _instant(text: str, zone: tzinfo) -> str:
    """What `datetime-local` gives, with the deployment's offset; anything else as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (at if at.tzinfo else at.replace(tzinfo=zone)).isoformat()


def _shown(value: Any, zone: tzinfo) -> str:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) and len(value) > 10 else None
    except ValueError:
        at = None
    return _local(at, zone) if at and at.tzinfo else str(value)


def _local(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%dT%H:%M}"


def _form(values: Mapping[str, list[str]]) -> Form:
    return Form(fields={name: tuple(found) for name, found in values.items()})
