"""The composer: a form made of a template's fields, and the body that the approval room reads from it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from starlette.responses import Response

from approval import desk, forms
from domain.errors import BadInput, Conflict, HubError, NotFound
from domain.handling import Handling
from domain.person import Person, Role
from domain.release import Colour, Draft, Release, State
from duty import reports as duty
from store import areas, releases, reports
from store.unit import Unit
from templates import library, pages
from templates.library import Field, Template
from web.console.visit import Visit
from web.page import go
from web.sessions import Form

EDITABLE = (State.DRAFT, State.RETURNED, State.SUBMITTED)
LASTS = timedelta(hours=6)  # what a fresh draft proposes; the author looks at it anyway
GRADES = (1, 2, 3, 4)


def new(visit: Visit) -> Response:
    """Choose a template, or its empty form; ``?from=`` fills in what a report says."""
    visit.person.must_be(Role.OFFICER, Role.APPROVER)
    wanted, report = visit.query("template"), visit.query("from")
    known = library.library()
    if not wanted:
        return visit.show("templates.html", known=known.values(), report=report, here="/console/releases")
    if wanted not in known:
        raise NotFound("no such template")
    return _show(visit, known[wanted], _fresh(visit, known[wanted], report), action="/console/releases")


def create(visit: Visit) -> Response:
    """Keep a new draft and show it as it would leave."""
    template = library.library().get(visit.form.first("template"))
    if template is None:
        raise NotFound("no such template")
    try:
        release = visit.act(
            lambda unit, by: desk.create(unit, _draft(unit, visit, template, by), by=by, at=visit.at)
        )
    except BadInput as error:
        return _show(visit, template, visit.form, action="/console/releases", problem=error)
    return go(f"/console/releases/{release.id}?done=saved")


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
    """Keep the change, if nobody else changed the draft meanwhile."""
    release = load(visit)
    template = library.pinned(release.draft.template, release.draft.template_version)
    revision = visit.form.number("revision")

    def work(unit: Unit, by: Person) -> Release:
        draft = _draft(unit, visit, template, by, release.draft)
        return desk.edit(unit, release.id, draft, by=by, at=visit.at, revision=revision)

    try:
        visit.act(work)
    except (BadInput, Conflict) as error:
        return _show(
            visit, template, visit.form, action=visit.request.url.path, release=release, problem=error
        )
    return go(f"/console/releases/{release.id}?done=saved")


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
        "fields": {name: value for name, value in fields.items() if value != ""},
        "from_report": form.first("from_report") or None,
    }


def _fresh(visit: Visit, template: Template, report_id: str) -> Form:
    report = visit.read(lambda unit: reports.get(unit, report_id)) if report_id else None
    prefill: Mapping[str, Any] = duty.draft_fields(report) if report else {}
    values: dict[str, list[str]] = {
        "template": [template.id],
        "issuer": [visit.person.organisation],
        "areas": list(prefill.get("areas", [])),
        "grade": [str(prefill.get("grade") or "")],
        "languages": list(library.LANGUAGES),
        "channels": list(template.channels),
        "handling": [Handling.PUBLIC.value],
        "expires": [_local(visit.at + LASTS, visit.hub.zone)],
        "from_report": [report_id if report else ""],
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
    }
    return _form(values | {f"fields.{name}": [_shown(value, zone)] for name, value in draft.fields.items()})


def _draft(unit: Unit, visit: Visit, template: Template, by: Person, before: Draft | None = None) -> Draft:
    body = body_of(visit.form, template, visit.hub.zone)
    return forms.draft_from_body(unit, body, by=by, at=visit.at, before=before)


def _show(
    visit: Visit, template: Template, form: Form, *, action: str, release: Release | None = None,
    problem: HubError | None = None,
) -> Response:  # fmt: skip
    report_id = form.first("from_report")
    divisions, report = visit.read(
        lambda unit: (areas.listing(unit), reports.get(unit, report_id) if report_id else None)
    )
    return visit.show(
        "draft.html", problem=problem, template=template, typed=form, action=action, release=release,
        divisions=divisions, groups=list(pages.codes()["group"]), report=report, colours=[c.value for c in Colour], grades=GRADES,
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
