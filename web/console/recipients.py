"""Whom releases reach: the present list in numbers, and the lists that come in."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import BadInput, HubError, NotFound, Refused
from domain.person import Person
from domain.secrecy import NOBODY
from duty import addressbook
from hub.wiring import Hub
from store import areas, audience, operations
from store.operations import RUNNING, Operation
from store.unit import Unit
from web import imports, multipart
from web.console.history import name_of
from web.console.visit import Visit, at_own_door
from web.page import go
from web.sessions import Form, must_hold_token

HERE = "/console/recipients"
AREAS = 200  # lines of the table; the list itself is no page
REFRESH = 2  # s between looks at an import that runs, where no script does it


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The present list: totals by channel and group, and by area."""

    version: int
    channels: Mapping[str, Mapping[str, int]]  # channel -> group -> rows
    areas: list[tuple[str, int]]  # name, rows; the largest first
    area_count: int
    opted_out: Mapping[str, int]

    @property
    def groups(self) -> list[str]:
        """Every group of any channel."""
        return sorted({group for found in self.channels.values() for group in found})


def show_list(visit: Visit, problem: HubError | None = None) -> Response:
    """Counts, the last imports, and the form to bring in a list."""

    def work(unit: Unit) -> tuple[Numbers, list[tuple[Operation, str]]]:
        known: dict[str, str] = {}
        last = operations.latest(unit, addressbook.KIND)
        return _numbers(unit, visit.language), [(o, name_of(unit, o.by, visit.language, known)) for o in last]

    addressbook.tidy(visit.hub.store, visit.at)
    numbers, last = visit.read(work)
    return visit.show(
        "recipients.html", problem=problem, numbers=numbers, last=last, may_import=may_import(visit.person),
        most=visit.hub.settings.max_body_bytes, here=HERE,
    )  # fmt: skip


def show_import(visit: Visit, problem: HubError | None = None) -> Response:
    """How far an import is, what it would change, and which rows are wrong; ``?part=state`` only that."""
    addressbook.tidy(visit.hub.store, visit.at)
    found = visit.read(lambda unit: operations.get(unit, visit.part("id")))
    if found is None or found.kind != addressbook.KIND:
        raise NotFound("no such import")
    is_moving = found.state == RUNNING and found.result["phase"] != "ready"
    values: dict[str, Any] = {"operation": found, "result": found.result, "is_moving": is_moving,
              "may_import": may_import(visit.person)}  # fmt: skip
    if visit.query("part") == "state" and problem is None:
        return visit.fragment("import_state.html", **values)
    refresh = REFRESH if is_moving else 0
    return visit.show("import.html", problem=problem, refresh=refresh, here=HERE, **values)


def decide(visit: Visit) -> Response:
    """Put a list in force, or give it up."""
    name, import_id = visit.part("act"), visit.part("id")
    acts = {"confirm": addressbook.confirm, "discard": addressbook.discard}
    if name not in acts:
        raise NotFound("no such act")
    try:
        visit.act(lambda unit, by: acts[name](unit, import_id, by=by, at=visit.at))
    except Refused as error:
        return show_import(visit, error)
    addressbook.tidy(visit.hub.store, visit.at)
    return go(f"/console/imports/{import_id}?done={name}")


def may_import(person: Person) -> bool:
    """Whether the form is shown; the duty room decides again."""
    return bool(person.roles & set(addressbook.WRITERS))


class UploadDoor:
    """Takes the file. A form with a file is no form that Visit reads."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def take(self, request: Request) -> Response:
        """Announce the import, start it, and show its page."""
        hub = self._hub

        async def work(person: Person, csrf: str) -> Response:
            raw = await request.body()
            kind = request.headers.get("content-type", "")
            form = await anyio.to_thread.run_sync(lambda: _form(raw, kind))
            visit = Visit(hub=hub, request=request, person=person, csrf=csrf,
                          form=Form(fields={n: (v,) for n, v in form.fields.items()}), at=hub.clock(),
                          standing=None, store=hub.store.seen_by(NOBODY))  # fmt: skip
            must_hold_token(visit.form, csrf)
            return await anyio.to_thread.run_sync(_begin, visit, form.files)

        return await at_own_door(hub, request, work)


def _form(raw: bytes, kind: str) -> multipart.Form:
    if not kind.lower().startswith("multipart/form-data"):
        raise BadInput("a form with a file is expected", code="csrf")
    return multipart.parse(raw, kind, names=("csrf",), file_field="file")


def _begin(visit: Visit, files: tuple[bytes, ...]) -> Response:
    visit.person.must_be(*addressbook.WRITERS)
    addressbook.tidy(visit.hub.store, visit.at)
    if not files:
        return show_list(visit, BadInput("no file", code="no_file"))
    raw = files[0]
    try:
        begun = visit.act(
            lambda unit, by: addressbook.begin(unit, raw, by=by, at=visit.at, must_confirm=True)
        )
    except Refused as error:
        return show_list(visit, error)
    imports.start(visit.hub, begun, raw)
    return go(f"/console/imports/{begun.id}")


def _numbers(unit: Unit, language: str) -> Numbers:
    channels: dict[str, dict[str, int]] = {}
    places: Counter[str] = Counter()
    for row in audience.numbers(unit):
        held: Any = channels.setdefault(row.channel, {})
        held[row.group] = held.get(row.group, 0) + row.n
        places[row.area] += row.n
    most = places.most_common(AREAS)
    names = areas.names(unit, [code for code, _ in most])
    shown = [(names.get(code, (code, code))[0 if language == "zh-CN" else 1], n) for code, n in most]
    return Numbers(version=audience.version(unit), channels=channels, areas=shown, area_count=len(places),
                   opted_out=audience.count_opted_out(unit))  # fmt: skip
