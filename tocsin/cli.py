"""The command line: every command translates, the rooms decide."""

import contextlib
import json
import os
import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from domain.errors import BadInput, HubError
from domain.handling import Mode
from domain.person import Role
from hub import birth, keys
from hub.log import configure
from hub.wiring import now
from sandbox.pool import Pool
from store import migrate as migration
from store import people as people_book
from store import roots
from templates import guard as template_guard
from tocsin import cli_cap, cli_demo, cli_operate, cli_places, serve
from tocsin import demo as demo_data
from tocsin.given import DataDir, Json, settings_of
from tocsin.people import SCOPES, add_person, new_key, new_link

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False,
                  help="Tocsin 警钟: information intake and public release hub.")  # fmt: skip
user_app = typer.Typer(no_args_is_help=True, help="People who work here.")
journal_app = typer.Typer(no_args_is_help=True, help="The hash-chained journal.")
template_app = typer.Typer(no_args_is_help=True, help="Templates of messages.")
config_app = typer.Typer(no_args_is_help=True, help="Settings.")
for name, sub in (("user", user_app), ("demo", cli_demo.app), ("cap", cli_cap.app), ("journal", journal_app),
                  ("template", template_app), ("config", config_app),
                  ("areas", cli_places.area_app), ("landmarks", cli_places.landmark_app)):  # fmt: skip
    app.add_typer(sub, name=name)
app.add_typer(cli_operate.app)


def main() -> None:
    """The entry point: an error raised on purpose is one line and exit code 1."""
    try:
        app()
    except HubError as error:
        print(f"tocsin: {error.detail or error.code} [{error.code}]", file=sys.stderr)
        sys.exit(1)


@app.command()
def up(
    data: DataDir = None,
    port: Annotated[int | None, typer.Option(help="Web port; 0 takes a free one.")] = None,
    smtp_port: Annotated[int | None, typer.Option(help="SMTP port; 0 takes a free one.")] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="JSON file written when everything answers.")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="A demo hub with simulated providers.")] = False,
) -> None:
    """Start everything in one process: web, SMTP, workers, timers; with --demo the simulators too."""
    settings = settings_of(data, port=port, smtp_port=smtp_port)
    configure(is_quiet=demo and sys.stderr.isatty())
    serve.up(settings, is_demo=demo, ready_file=ready_file)


@app.command()
def web(data: DataDir = None, port: Annotated[int | None, typer.Option()] = None) -> None:
    """Serve HTTP: doors, desk, public pages."""
    configure()
    serve.web(settings_of(data, port=port))


@app.command()
def worker(data: DataDir = None) -> None:
    """Work on what is due: file, relay, deliver, publish; any number of these may run."""
    configure()
    serve.worker(settings_of(data))


@app.command()
def smtp(data: DataDir = None, port: Annotated[int | None, typer.Option()] = None) -> None:
    """Open the SMTP door."""
    configure()
    serve.smtp(settings_of(data, smtp_port=port))


@app.command()
def init(
    mode: Annotated[Mode, typer.Option(help="live, exercise or demo; never changes afterwards.")],
    data: DataDir = None,
) -> None:
    """Make directories, keys and schema, and set the mode for ever."""
    stands, steps = birth.prepare(settings_of(data), mode, now())
    print(f"mode {mode.value}, schema {stands}/{steps}")


@app.command()
def migrate(
    plan: Annotated[bool, typer.Option("--plan", help="Print the SQL and change nothing.")] = False,
    data: DataDir = None,
) -> None:
    """Bring the database up to this program's schema."""
    settings = settings_of(data)
    if plan:
        print(migration.plan(settings.database) or "-- nothing is missing")
        return
    stands, steps = migration.upgrade(settings.database, lock_path=settings.write_lock)
    print(f"schema {stands}/{steps}")


@app.command()
def version(as_json: Json = False) -> None:
    """Which program this is."""
    number = installed_version("tocsin")
    print(json.dumps({"version": number}) if as_json else f"tocsin {number}")


@user_app.command("add")
def user_add(
    login: str,
    name: Annotated[str, typer.Option()],
    role: Annotated[list[Role], typer.Option(help="May be given several times.")],
    organisation: Annotated[str, typer.Option()] = "",
    with_key: Annotated[bool, typer.Option(help="Also make an API key.")] = False,
    data: DataDir = None,
) -> None:
    """Add a person. The password comes from TOCSIN_PASSWORD or a prompt, never from the arguments."""
    settings = settings_of(data)
    password = os.environ.get("TOCSIN_PASSWORD") or typer.prompt("password", hide_input=True)
    with serve.opened(settings) as hub:
        person = add_person(
            hub.store, login, name, role, organisation=organisation or settings.organisation,
            password=password, at=now(),
        )  # fmt: skip
        print(f"{person.id} {login}")
        if with_key:
            scopes = {scope for r in role for scope in SCOPES[r]}
            print(new_key(hub.store, hub.mode, login, organisation=person.organisation, scopes=scopes,
                          at=now(), person=person))  # fmt: skip


@user_app.command("list")
def user_list(as_json: Json = False, data: DataDir = None) -> None:
    """Everyone, with roles."""
    with serve.opened(settings_of(data)) as hub:
        rows = [
            {"login": login, "name": p.name, "roles": sorted(r.value for r in p.roles),
             "organisation": p.organisation, "is_active": p.is_active}
            for login, p in hub.store.read(people_book.everyone)
        ]  # fmt: skip
    _show(rows, as_json=as_json)


@user_app.command("link")
def user_link(login: str, data: DataDir = None) -> None:
    """A one-time login link, good for ten minutes."""
    settings = settings_of(data)
    with serve.opened(settings) as hub:
        found = hub.store.read(lambda unit: people_book.by_login(unit, login))
        if found is None:
            raise typer.BadParameter("no such login")
        token = new_link(hub.store, found[0], expires=now() + demo_data.LINK_LASTS)
    print(f"{demo_data.site(settings)}/login/{token}")


@user_app.command("off")
def user_off(login: str, data: DataDir = None) -> None:
    """Switch a person off; every session ends at once."""
    with serve.opened(settings_of(data)) as hub:
        if not hub.store.run(lambda unit: people_book.set_active(unit, login, is_active=False)):
            raise typer.BadParameter("no such login")


@template_app.command("check")
def template_check(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, readable=True)],
) -> None:
    """Say what a template may not hold; it is read in a child under limits."""
    is_bad = False
    with contextlib.closing(Pool()) as pool:
        for path in files:
            try:
                pool.run(template_guard.trial, path.read_bytes())
            except BadInput as error:
                is_bad = True
                lines = [f"{path}:{flaw.pointer}: {flaw.detail}" for flaw in error.flaws]
                print("\n".join(lines) or f"{path}: {error.detail or error.code}")
            else:
                print(f"{path}: ok")
    raise typer.Exit(1 if is_bad else 0)


@journal_app.command("verify")
def journal_verify(as_json: Json = False, data: DataDir = None) -> None:
    """Check every entry, chain, head, root and anchor. Exit code 2 when something was changed."""
    settings = settings_of(data)
    made = keys.load(settings.data_dir / "keys", may_make=False)
    anchors = serve.anchors(settings)
    with serve.opened(settings) as hub:
        count, findings = hub.store.read(
            lambda unit: roots.verify(unit, made.journal_root.public_key(), anchors)
        )
    if as_json:
        rows = [{"where": f.where, "what": f.what} for f in findings]
        print(json.dumps({"entries": count, "anchors": len(anchors), "findings": rows}))
    else:
        for f in findings:
            print(f"{f.where}: {f.what}")
        print(f"{count} entries, {len(anchors)} anchors, {len(findings)} findings")
    raise typer.Exit(2 if findings else 0)


@config_app.command("show")
def config_show(as_json: Json = False, data: DataDir = None) -> None:
    """Every setting with its origin; secrets are masked."""
    shown = settings_of(data).shown()
    _show([{"name": name, **row} for name, row in shown.items()], as_json=as_json)


def _show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, default=str))
        return
    table = Table(*(rows[0] if rows else ()), box=None)
    for row in rows:
        table.add_row(*(", ".join(v) if isinstance(v, list) else str(v) for v in row.values()))
    Console().print(table)
