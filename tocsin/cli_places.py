"""`tocsin areas` and `tocsin landmarks`: the divisions of this hub, and the places that it knows by name."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.divisions import counties, level, lies_in, townships
from domain.errors import BadInput, Flaw
from domain.place import canonical
from domain.position import read
from hub.wiring import now
from store import areas, landmarks
from tocsin import serve
from tocsin.given import DataDir, settings_of

area_app = typer.Typer(no_args_is_help=True, help="The divisions of this hub.")
landmark_app = typer.Typer(no_args_is_help=True, help="Places that the deployment knows by name.")
COLUMNS = ("name", "area")  # that a file of landmarks must have; aliases, lat, lon and source may be missing
LONGEST = 100


@area_app.callback()
def _areas() -> None:
    """The divisions of this hub."""


@landmark_app.callback()
def _landmarks() -> None:
    """Places that the deployment knows by name."""


@area_app.command("load")
def load_areas(
    code: Annotated[str, typer.Argument(help="A division's code: 33, 330100, 330110 ...")],
    with_townships: Annotated[
        bool, typer.Option("--townships", help="Down to townships and streets.")
    ] = False,
    data: DataDir = None,
) -> None:
    """Put a province, city or county of the shipped table into this hub, with what it lies in. Known ones stay."""
    rows = list(divisions(canonical(code), with_townships=with_townships))
    if not rows:
        raise typer.BadParameter("the table has no such division")
    with serve.opened(settings_of(data)) as hub:
        hub.store.run(lambda unit: areas.put(unit, rows))
    print(f"{len(rows)} divisions")


@landmark_app.command("load")
def load_landmarks(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)], data: DataDir = None
) -> None:
    """Read a CSV: name,aliases,area,lat,lon,source; aliases by ``;``, degrees WGS-84 or empty. All of it or nothing."""
    try:
        rows = list(marks(file.read_text(encoding="utf-8-sig")))
    except BadInput as error:
        for flaw in error.flaws:
            print(f"{file}:{flaw.pointer}: {flaw.detail}")
        raise
    with serve.opened(settings_of(data)) as hub:
        count = hub.store.run(lambda unit: landmarks.load(unit, rows, now()))
    print(f"{count} landmarks")


def divisions(code: str, *, with_townships: bool) -> Iterator[dict[str, Any]]:
    """The rows of `code`: what it lies in, itself, what lies in it."""
    known = [*counties(), *(townships() if with_townships else ())]
    codes = {d.code for d in known}
    for each in known:
        if lies_in(each.code, code) or (level(each.code) < level(code) and lies_in(code, each.code)):
            parents = [each.code[:n].ljust(12, "0") for n in (6, 4, 2) if n < level(each.code)]
            parent = next((p for p in parents if p in codes and p != each.code), "")
            names = {"name_zh": each.name, "name_en": ""}
            yield {"code": each.code, **names, "parent": parent, "lon": each.lon, "lat": each.lat}


def marks(text: str) -> Iterator[dict[str, Any]]:
    """The rows of a file of landmarks. Raises BadInput(bad_landmarks) with the lines that do not fit."""
    reader = csv.DictReader(text.splitlines())
    flaws: list[Flaw] = []
    found = [_mark(row, reader.line_num, flaws) for row in reader]
    if not set(COLUMNS) <= set(reader.fieldnames or ()):
        flaws.insert(0, Flaw("1", "needs the columns name and area"))
    if flaws:
        raise BadInput("the landmarks do not fit", code="bad_landmarks", flaws=flaws[:20])
    yield from found


def _mark(row: dict[str, Any], line: int, flaws: list[Flaw]) -> dict[str, Any]:
    name, where = (row.get("name") or "").strip(), f"{row.get('lat') or ''},{row.get('lon') or ''}"
    try:
        area = canonical((row.get("area") or "").strip())
    except BadInput as error:
        flaws.append(Flaw(str(line), error.detail))
        area = ""
    if not 1 < len(name) <= LONGEST:
        flaws.append(Flaw(str(line), f"a name has 2 to {LONGEST} letters"))
    at = read(where)
    if at is None and where != ",":
        flaws.append(Flaw(str(line), "lat and lon are degrees, or empty"))
    aliases = [a.strip() for a in (row.get("aliases") or "").split(";") if a.strip()]
    return {"name": name, "area": area, "aliases": aliases, "lat": at.lat if at else None, "lon": at.lon if at else None,
            "source": (row.get("source") or "")[:200]}  # fmt: skip
