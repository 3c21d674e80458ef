"""The commands of whoever operates a hub: doctor, backup, restore, hold, keep."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from domain.person import Role
from hub import birth, hold, keys
from hub.log import configure
from hub.settings import Settings
from hub.wiring import now
from store import figures, journal
from store import hub as hub_row
from store import people as people_book
from store.database import Store
from store.unit import Unit
from tocsin import backup as backups
from tocsin import benches, serve
from tocsin import doctor as doctors
from tocsin import restore as restores
from tocsin.benches import screen as bench_screen
from tocsin.benches.postgres import programs
from tocsin.given import DataDir, Json, settings_of

app = typer.Typer()
PASSPHRASE = "TOCSIN_BACKUP_PASSPHRASE"  # noqa: S105 (the name of a variable)


@app.command()
def doctor(
    as_json: Json = False,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is safe to mend.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="A check; may be given several times.")] = None,
    data: DataDir = None,
) -> None:
    """Look at everything. Exit code 0: well, 1: warnings, 2: something does not work."""
    unknown = set(only or ()) - {check.name for check in doctors.CHECKS}
    if unknown:
        raise typer.BadParameter(f"no such check: {', '.join(sorted(unknown))}")
    results = doctors.examine(settings_of(data), now(), only=only or (), may_fix=fix)
    if as_json:
        print(json.dumps([r.to_json() for r in results], ensure_ascii=False))
    else:
        doctors.show(results)
    raise typer.Exit(max((int(r.finding.level) for r in results), default=0))


@app.command()
def bench(
    only: Annotated[str, typer.Option(help=f"One of {', '.join(benches.benches(benches.Sizes()))}.")] = "",
    store: Annotated[
        str, typer.Option(help="sqlite, postgres, or both where PostgreSQL is installed.")
    ] = "both",
    recipients: Annotated[int, typer.Option(min=100)] = benches.Sizes().recipients,
    reports: Annotated[int, typer.Option(min=100)] = benches.Sizes().reports,
    mails: Annotated[int, typer.Option(min=20, help="In one run.")] = benches.Sizes().mails,
    approvals: Annotated[int, typer.Option(min=1)] = benches.Sizes().approvals,
    pairs: Annotated[
        int, typer.Option(min=1, help="Runs of each, in turn with its ceiling.")
    ] = benches.Sizes().pairs,
    as_json: Json = False,
) -> None:
    """Measure this machine on hubs of its own, each figure beside a ceiling of the same run. Exit code 1: one is missed."""
    sizes = benches.Sizes(recipients=recipients, reports=reports, mails=mails, posts=2 * mails, approvals=approvals,
                          open_reports=min(reports, benches.Sizes().open_reports), pairs=pairs,
                          seconds=max(min(mails // 100, 10), 1))  # fmt: skip
    if only and only not in benches.benches(sizes):
        raise typer.BadParameter(f"one of {', '.join(benches.benches(sizes))}")
    if store not in ("both", *benches.STORES):
        raise typer.BadParameter("sqlite, postgres or both")
    stores: tuple[str, ...] = benches.STORES if store == "both" else (store,)
    if "postgres" in stores and programs() is None:
        print(
            "tocsin: PostgreSQL is not installed here (initdb, postgres): only SQLite is measured",
            file=sys.stderr,
        )
        stores = tuple(name for name in stores if name != "postgres")
    missed = bench_screen.show(sizes, only=only, stores=stores, as_json=as_json)
    raise typer.Exit(1 if missed else 0)


@app.command()
def backup(target: Path, as_json: Json = False, data: DataDir = None) -> None:
    """Copy a hub, which may go on working, into an empty directory. TOCSIN_BACKUP_PASSPHRASE seals the keys."""
    passphrase = os.environ.get(PASSPHRASE, "")
    with _progress(as_json=as_json) as step:
        made = backups.backup(settings_of(data), target, passphrase=passphrase, at=now(), step=step)
    if made.keys == "plain":
        print(f"tocsin: the keys lie in {target}/keys in the clear: whoever has them reads every report and can"
              f" forge the journal. Set {PASSPHRASE} to seal them.", file=sys.stderr)  # fmt: skip
    shown = {
        "target": str(target),
        "files": len(made.files),
        "keys": made.keys,
        "journal": made.census["journal"],
    }
    print(
        json.dumps(shown)
        if as_json
        else f"{len(made.files)} files, root {shown['journal']['root']}, keys {made.keys}"
    )


@app.command()
def restore(
    source: Path, data: DataDir = None, as_json: Json = False,
    verify: Annotated[bool, typer.Option("--verify", help="Restore into a place that is thrown away.")] = False,
) -> None:  # fmt: skip
    """Make a hub from a backup. It sends nothing until `tocsin release-hold`. Exit code 2: it is not equal."""
    run = restores.verify if verify else restores.restore
    if data is None and not verify:
        raise typer.BadParameter("--data says where to restore to")
    with _progress(as_json=as_json) as step:
        found = run(settings_of(data), source, passphrase=os.environ.get(PASSPHRASE, ""), at=now(), step=step)
    wrong = [*found.differences, *(f"{f.where}: {f.what}" for f in found.findings)]
    if as_json:
        print(json.dumps({"equal": found.is_equal, "entries": found.entries, "wrong": wrong}))
    else:
        print(
            "\n".join(
                [*wrong, f"{found.entries} journal entries, {'equal' if found.is_equal else 'NOT equal'}"]
            )
        )
        if not verify:
            print("held: compare with the provider, then `tocsin release-hold --by LOGIN`")
    raise typer.Exit(0 if found.is_equal else 2)


@app.command("hold")
def hold_(reason: Annotated[str, typer.Option()], data: DataDir = None) -> None:
    """Let nothing more leave, at once; reports are still taken. The kill switch."""
    settings = settings_of(data)
    hold.put(settings.data_dir, reason)  # first: the journal may take its time
    _journal(settings, "hold", by="command", detail={"reason": reason[:200]})


@app.command("release-hold")
def release_hold(
    by: Annotated[str, typer.Option(help="Login of the officer who compared with the provider.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: DataDir = None,
) -> None:
    """Let things leave again, after somebody has compared with the provider what did leave."""
    _release(settings_of(data), by, is_sure=yes)


@app.command()
def keep(kind: Annotated[str, typer.Argument(help="web, smtp, worker or up")], data: DataDir = None,
         port: Annotated[int | None, typer.Option()] = None) -> None:  # fmt: skip
    """Hold a port open and one process behind it; SIGHUP changes the process without losing a connection."""
    if kind not in ("web", "smtp", "worker", "up"):
        raise typer.BadParameter("web, smtp, worker or up")
    configure()
    changes = {"smtp_port" if kind == "smtp" else "port": port}
    serve.keep(settings_of(data, **changes), kind, ["--data", str(data)] if data else [])


def _release(settings: Settings, login: str, *, is_sure: bool) -> None:
    reason = hold.reason(settings.data_dir)
    if reason is None:
        print("nothing is held")
        return
    with _store(settings) as store:
        found = store.read(lambda unit: people_book.by_login(unit, login))
        if found is None:
            raise typer.BadParameter("no such login")
        found[0].must_be(Role.OFFICER, Role.LEADER, Role.APPROVER)
        waiting = store.read(figures.figures).deliveries
    print(f"held: {reason}")
    for (channel, state), n in sorted(waiting.items()):
        print(f"{channel}: {n} {state}")
    print("What is queued will leave now. Compare the provider's list with ours first: what it has and we do not"
          " would be sent twice.")  # fmt: skip
    if not is_sure and typer.prompt("type RELEASE") != "RELEASE":
        raise typer.Exit(1)
    detail = {"reason": reason[:200], "waiting": sum(waiting.values())}
    _journal(settings, "release_hold", by=found[0].id, detail=detail)
    hold.release(settings.data_dir)


def _journal(settings: Settings, act: str, *, by: str, detail: dict[str, Any]) -> None:
    """Write down an act on the whole hub."""

    def work(unit: Unit) -> None:
        journal.append(unit, "hub", hub_row.instance(unit), act, by=by, at=now(), detail=detail)

    with _store(settings) as store:
        store.run(work)


@contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    """The store alone: holding must work where a wire cannot be built."""
    store = birth.open_store(settings, keys.load(settings.data_dir / "keys", may_make=False))
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _progress(*, as_json: bool) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal, silence elsewhere."""
    console = Console(stderr=True)
    if as_json or not console.is_terminal:
        yield lambda _name: None
        return
    columns: tuple[Any, ...] = (
        TextColumn("{task.completed} files"),
        BarColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None)
        yield lambda name: bar.update(task, advance=1, description=name[-60:])
